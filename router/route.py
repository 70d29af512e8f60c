"""The way of one model call through the registry: which deployment is tried next, and under which name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from config.deployments import Deployment, Registry


class Route:
    """What to try, best first: the model's deployments, then those of its fallbacks, and of theirs.

    Iterating yields `(name, deployment)`, where `name` is the model name that led there: the one that was asked for,
    or a fallback's. Nothing comes twice. `in_order` sorts the deployments of one group.
    """

    def __init__(
        self, registry: Registry, model: str, in_order: Callable[[Iterable[Deployment]], list[Deployment]]
    ) -> None:
        self._registry = registry
        self._model = model
        self._in_order = in_order
        self._seen: set[str] = set()
        self._names = self._fresh((model,))
        self._waiting: list[tuple[str, Deployment]] = []

    def __iter__(self) -> Iterator[tuple[str, Deployment]]:
        while self.has_more:
            yield self._waiting.pop(0)

    @property
    def has_more(self) -> bool:
        while not self._waiting and self._names:
            name = self._names.pop(0)
            group = self._registry.resolve(name) or name
            self._waiting = [(name, each.for_model(name)) for each in self._in_order(self._registry.usable(group))]
            self._names += self._fresh(self._registry.fallbacks(group))
        return bool(self._waiting)

    def detour(self, kind: Literal["context_window", "content_policy"]) -> None:
        """Leave what was planned: only the fallbacks of that kind may stand in."""
        self._waiting = []
        self._names = self._fresh(self._registry.fallbacks(self._registry.resolve(self._model) or self._model, kind))

    def _fresh(self, names: tuple[str, ...]) -> list[str]:
        fresh = [name for name in dict.fromkeys(names) if name not in self._seen]
        self._seen.update(fresh)
        return fresh
