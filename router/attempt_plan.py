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
    one that failed longest ago. `seen` are the breaker ids of all deployments considered; `too_long` is true when some
    of them were left out because the prompt exceeds their context window.
    """

    def __init__(self, turn: RoutedTurn, prompt_chars: int) -> None:
        self._turn = turn
        self._prompt_chars = prompt_chars
        self._tried_names: set[str] = set()
        self._opened: set[str] = set()
        self._names = [turn.model]
        self._waiting = self._serving()
        self._blocked: list[tuple[str, Deployment]] = []
        self._tried_ids: set[str] = set()
        self.seen = [each.breaker_id for _, each in self._waiting]
        self.too_long = False

    def next(self, suits: Callable[[Deployment], bool] = lambda _: True) -> tuple[str, Deployment] | None:
        """The next deployment and the model name that leads to it; None when the plan is exhausted."""
        for place in self._available():
            if suits(self._waiting[place][1]):
                return self._tried(self._waiting.pop(place))
        blocked = [step for step in (*self._blocked, *self._waiting) if suits(step[1])]
        if self._tried_names or not blocked:
            return None
        longest_ago = self._turn.router.breakers.least_recently_failed(each.breaker_id for _, each in blocked)
        return self._tried(next(step for step in blocked if step[1].breaker_id == longest_ago))

    @property
    def has_more(self) -> bool:
        """Whether another deployment can be tried now."""
        return bool(self._available())

    def use_only_fallbacks(self, kind: Literal["context_window", "content_policy"]) -> None:
        """Replace the rest of the plan with the model's fallbacks of that kind, except those already tried."""
        self.stop()
        # A group may stand in several lists. One that the plan has looked at, but not tried, is still to come.
        self._opened &= self._tried_names
        self._add(self._turn.registry.fallbacks(self._turn.model, kind))

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

    def _tried(self, step: tuple[str, Deployment]) -> tuple[str, Deployment]:
        self._tried_names.add(step[0])
        self._tried_ids.add(step[1].breaker_id)
        return step

    def _deployments(self, name: str) -> list[tuple[str, Deployment]]:
        registry, router = self._turn.registry, self._turn.router
        group = registry.resolve(name) or name
        self._opened.add(name)
        ordered = order_to_try(registry.usable(group), registry.settings.routing_strategy, router.stats, router.random)
        # An alias or an id may lead back to a deployment.
        filled = [each.for_model(name) for each in ordered]
        found = [each for each in filled if each.breaker_id not in self._tried_ids]
        fitting = [each for each in found if not exceeds_context(each, self._prompt_chars)]
        self.too_long = self.too_long or len(fitting) < len(found)
        # Without a deployment that fits, the group refuses the prompt as too long, without a request.
        self._add(registry.fallbacks(name, "context_window" if found and not fitting else "any"))
        self.seen += [each.breaker_id for each in found]
        return [(name, each) for each in fitting]

    def _add(self, names: tuple[str, ...]) -> None:
        """Append the names that are neither opened nor in the plan."""
        self._names += [each for each in dict.fromkeys(names) if each not in self._opened and each not in self._names]
