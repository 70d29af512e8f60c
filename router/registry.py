"""Holds the current Registry. A turn takes the snapshot once, at its start, and finishes on it."""

from __future__ import annotations

from config.models.deployments import Registry


class LiveRegistry:
    """The one mutable reference to an immutable Registry; `swap` replaces it whole."""

    def __init__(self, registry: Registry) -> None:
        self._current = registry

    @property
    def current(self) -> Registry:
        return self._current

    def swap(self, registry: Registry) -> None:
        """Turns that begin from now on see `registry`; those that run keep the one they began with."""
        self._current = registry
