"""The router: one model name in, one reliable stream out.

`FailoverRouter` lives as long as the process. It begins a `RoutedTurn` for each turn; `router.model_call` runs the
turn's model calls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from config.errors import ModelNotFound, ModelUnavailable, RequestError
from config.models.deployments import Registry
from router.routed_turn import RoutedTurn
from router.router_state import RouterState
from router.turn_record import TurnRecord


@dataclass(frozen=True, slots=True)
class RoutingOverrides:
    """What one request changes about its routing; None keeps what models.yaml says.

    `turn_deadline` (seconds) can only shorten the configured one. `fallbacks` are model names, () for none.
    """

    turn_deadline: float | None = None
    num_retries: int | None = None
    fallbacks: tuple[str, ...] | None = None


class FailoverRouter(RouterState):
    """Begins turns on the models of models.yaml."""

    __slots__ = ()

    def begin(self, model: str | None, overrides: RoutingOverrides | None = None) -> RoutedTurn:
        """Begin a turn on `model`; None or "default" means the default group.

        Raises:
            ModelNotFound: no group, alias or wildcard has that name.
            ModelUnavailable: neither the group nor its fallbacks have a usable deployment.
            RequestError: the request names a fallback that does not exist.
        """
        overrides = overrides or RoutingOverrides()
        registry, name = self.check(model, overrides)
        limit = registry.settings.timeouts.turn_deadline
        seconds = limit if overrides.turn_deadline is None else min(overrides.turn_deadline, limit)
        self.hedges.turns += 1
        return RoutedTurn(self, registry, name, self.clock() + seconds, TurnRecord(asked=name))

    def check(self, model: str | None, overrides: RoutingOverrides | None = None) -> tuple[Registry, str]:
        """The registry and the model name that a turn on `model` would use. Raises as `begin` does."""
        registry, name = self.registry.current, self.name_of(model)
        registry = _with_overrides(registry, name, overrides or RoutingOverrides())
        if not any(registry.usable(registry.resolve(each) or "") for each in _reachable(registry, name)):
            raise ModelUnavailable(f"The model {name!r} is configured, but no deployment of it is ready: see /health.")
        return registry, name

    def name_of(self, model: str | None) -> str:
        """The model that `model` names; None, "" and "default" name the default one. Raises ModelNotFound."""
        registry = self.registry.current
        name = model if model and registry.resolve(model) else None
        if name is None and model in (None, "", "default"):
            name = registry.default_group()
        if name is None:
            raise model_not_found(model)
        return name


def model_not_found(name: str | None, param: str = "model") -> ModelNotFound:
    return ModelNotFound(f"The model {name!r} does not exist. GET /v1/models lists those that do.", param=param)


def _reachable(registry: Registry, name: str) -> list[str]:
    """`name` and all names that its fallbacks lead to."""
    names = [name]
    for each in names:
        names += [more for more in registry.fallbacks(each) if more not in names]
    return names


def _with_overrides(registry: Registry, name: str, overrides: RoutingOverrides) -> Registry:
    settings = registry.settings
    if overrides.num_retries is not None:
        settings = replace(settings, num_retries=overrides.num_retries)
    if overrides.fallbacks == ():
        settings = replace(
            settings, fallbacks={}, default_fallbacks=(), context_window_fallbacks={}, content_policy_fallbacks={}
        )
    elif overrides.fallbacks is not None:
        if unknown := [each for each in overrides.fallbacks if registry.resolve(each) is None]:
            raise RequestError(f"fallbacks names {unknown[0]!r}, which is no model here.", param="fallbacks")
        settings = replace(settings, fallbacks={registry.resolve(name) or name: overrides.fallbacks})
    return registry if settings is registry.settings else replace(registry, settings=settings)
