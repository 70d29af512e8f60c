"""Which deployment a model call tries next, and under which model name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from config.models.deployments import Deployment
from router.balance import order_to_try
from router.providers.model_facts import exceeds_context
from router.routed_turn import RoutedTurn


class AttemptPlan:
    """The model's deployments, best first, then those of its fallbacks, and of theirs. None comes twice.

    A turn that has begun stays on its deployment: providers differ in what they want to see of their own earlier steps.

    The plan skips deployments whose breaker is open or whose rate limit is spent. If that leaves none, it offers the
    one that failed longest ago. `seen` are the ids of all deployments considered; `too_long` is true when some of them
    were left out because the prompt exceeds their context window.
    """

    def __init__(self, turn: RoutedTurn, prompt_chars: int) -> None:
        self._turn = turn
        self._prompt_chars = prompt_chars
        self._names_seen: set[str] = set()
        self._names = self._fresh((turn.model,))
        self._waiting = self._serving()
        self._blocked: list[tuple[str, Deployment]] = []
        self._tried_any = False
        self._considered = {(each.id, each.model) for _, each in self._waiting}  # a wildcard serves several models
        self.seen = [each.id for _, each in self._waiting]
        self.too_long = False

    def next(self, suits: Callable[[Deployment], bool] = lambda _: True) -> tuple[str, Deployment] | None:
        """The next deployment and the model name that leads to it; None when the plan is exhausted."""
        for place in self._available():
            if suits(self._waiting[place][1]):
                self._tried_any = True
                return self._waiting.pop(place)
        blocked = [step for step in (*self._blocked, *self._waiting) if suits(step[1])]
        if self._tried_any or not blocked:
            return None
        self._tried_any = True
        longest_ago = self._turn.router.breakers.least_recently_failed(each.id for _, each in blocked)
        return next(step for step in blocked if step[1].id == longest_ago)

    @property
    def has_more(self) -> bool:
        """Whether another deployment can be tried now."""
        return bool(self._available())

    def use_only_fallbacks(self, kind: Literal["context_window", "content_policy"]) -> None:
        """Replace the rest of the plan with the model's fallbacks of that kind."""
        self.stop()
        registry, model = self._turn.registry, self._turn.model
        self._names = self._fresh(registry.fallbacks(registry.resolve(model) or model, kind))

    def stop(self) -> None:
        """Drop the rest of the plan."""
        self._waiting, self._blocked, self._names = [], [], []

    def _available(self) -> list[int]:
        """The indexes in `_waiting` that can be tried now. Opens the next group when there are none."""
        while True:
            places = [place for place, (_, each) in enumerate(self._waiting) if self._turn.router.may_try(each)]
            if places or not self._names:
                return places
            self._blocked += self._waiting
            self._waiting = self._deployments(self._names.pop(0))

    def _serving(self) -> list[tuple[str, Deployment]]:
        """The deployment that the turn is on, if it can read the prompt."""
        serving = self._turn.serving
        return [serving] if serving and not exceeds_context(serving[1], self._prompt_chars) else []

    def _deployments(self, name: str) -> list[tuple[str, Deployment]]:
        registry, router = self._turn.registry, self._turn.router
        group = registry.resolve(name) or name
        self._names += self._fresh(registry.fallbacks(group))
        ordered = order_to_try(registry.usable(group), registry.settings.routing_strategy, router.stats, router.random)
        # An alias or an id may lead back to a deployment.
        filled = [each.for_model(name) for each in ordered]
        found = [each for each in filled if (each.id, each.model) not in self._considered]
        self._considered.update((each.id, each.model) for each in found)
        fitting = [each for each in found if not exceeds_context(each, self._prompt_chars)]
        self.too_long = self.too_long or len(fitting) < len(found)
        self.seen += [each.id for each in found]
        return [(name, each) for each in fitting]

    def _fresh(self, names: tuple[str, ...]) -> list[str]:
        fresh = [name for name in dict.fromkeys(names) if name not in self._names_seen]
        self._names_seen.update(fresh)
        return fresh
