"""Holds the current Registry. A turn takes a snapshot when it begins, and keeps it."""

from __future__ import annotations

from config.models.deployments import Registry


class LiveRegistry:
    """A mutable reference to the immutable Registry."""

    def __init__(self, registry: Registry) -> None:
        self._current = registry

    @property
    def current(self) -> Registry:
        return self._current

    def swap(self, registry: Registry) -> None:
        """Replace the registry for all turns that begin from now on. Running turns keep their snapshot."""
        self._current = registry
