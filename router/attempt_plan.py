"""The way of one model call through the registry: which deployment is tried next, and under which name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, Protocol

from config.models.deployments import Deployment, Registry


class Guide(Protocol):
    """What a route has to ask, since it changes from moment to moment."""

    def in_order(self, deployments: Iterable[Deployment]) -> list[Deployment]:
        """`deployments` of one group, best first."""
        ...

    def may_try(self, deployment: Deployment) -> bool:
        """Whether its breaker and its limits let one more attempt through now."""
        ...

    def too_long_for(self, deployment: Deployment) -> bool:
        """Whether the prompt is certainly longer than it reads."""
        ...

    def last_resort(self, deployments: list[Deployment]) -> Deployment:
        """Which of these, all of them resting, is tried rather than refusing."""
        ...


class Route:
    """What to try, best first: the model's deployments, then those of its fallbacks, and of theirs. Nothing comes
    twice.

    Deployments that rest are passed over; only when nothing else was there, one of them is tried all the same. `seen`
    holds the ids of all that were considered, `too_long` says that some were passed over for the prompt's length.
    """

    def __init__(self, registry: Registry, model: str, guide: Guide) -> None:
        self._registry = registry
        self._model = model
        self._guide = guide
        self._names_seen: set[str] = set()
        self._names = self._fresh((model,))
        self._waiting: list[tuple[str, Deployment]] = []
        self._resting: list[tuple[str, Deployment]] = []
        self._tried_any = False
        self.seen: list[str] = []
        self.too_long = False

    def next(self, suits: Callable[[Deployment], bool] = lambda _: True) -> tuple[str, Deployment] | None:
        """The model name that leads on, and its deployment; None at the end of the way. `suits` may pass some over."""
        for place in self._tryable():
            if suits(self._waiting[place][1]):
                self._tried_any = True
                return self._waiting.pop(place)
        resting = [step for step in (*self._resting, *self._waiting) if suits(step[1])]
        if self._tried_any or not resting:
            return None
        self._tried_any = True
        chosen = self._guide.last_resort([each for _, each in resting])
        return next(step for step in resting if step[1] is chosen)

    @property
    def has_more(self) -> bool:
        """Whether another deployment can be tried now."""
        return bool(self._tryable())

    def detour(self, kind: Literal["context_window", "content_policy"]) -> None:
        """Leave what was planned: only the fallbacks of that kind may stand in."""
        self.close()
        self._names = self._fresh(self._registry.fallbacks(self._registry.resolve(self._model) or self._model, kind))

    def close(self) -> None:
        """End the way here."""
        self._waiting, self._resting, self._names = [], [], []

    def _tryable(self) -> list[int]:
        """The places of those in `_waiting` that can be tried now; goes on to the next group when there are none."""
        while True:
            places = [place for place, (_, each) in enumerate(self._waiting) if self._guide.may_try(each)]
            if places or not self._names:
                return places
            self._resting += self._waiting
            self._waiting = self._deployments(self._names.pop(0))

    def _deployments(self, name: str) -> list[tuple[str, Deployment]]:
        group = self._registry.resolve(name) or name
        self._names += self._fresh(self._registry.fallbacks(group))
        found = [each.for_model(name) for each in self._guide.in_order(self._registry.usable(group))]
        short = [each for each in found if not self._guide.too_long_for(each)]
        self.too_long = self.too_long or len(short) < len(found)
        self.seen += [each.id for each in found]
        return [(name, each) for each in short]

    def _fresh(self, names: tuple[str, ...]) -> list[str]:
        fresh = [name for name in dict.fromkeys(names) if name not in self._names_seen]
        self._names_seen.update(fresh)
        return fresh
