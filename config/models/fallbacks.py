"""Names in models.yaml that must lead somewhere: fallbacks, aliases, the default model; and fallbacks in a circle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from config.errors import Problem
from config.models.deployments import Registry
from config.models.schema import Fallbacks, ModelsFile, RoutingKeys
from config.reading.sections import nearest
from config.reading.yaml_lines import Document, KeyPath

CHAINS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def merged(fallbacks: Fallbacks | None) -> dict[str, tuple[str, ...]] | None:
    """LiteLLM's list of one-key mappings as one mapping; the first entry for a group counts."""
    if fallbacks is None:
        return None
    chains: dict[str, tuple[str, ...]] = {}
    for entry in fallbacks:
        for group, targets in entry.items():
            chains.setdefault(group, tuple(targets))
    return chains


def check_names(document: Document, models: ModelsFile, registry: Registry) -> Iterator[Problem]:
    """Every name that no group, alias or wildcard of `registry` answers to, and every circle of fallbacks."""
    known = dict.fromkeys([*(each.group for each in registry.deployments), *registry.settings.model_group_alias])

    def unknown(name: str) -> str | None:
        if registry.resolve(name) is not None:
            return None
        return f"no group, alias or wildcard answers to {name!r}{nearest(name, known)}"

    general = models.general_settings
    for key in ("default_model", "completion_model"):
        name = getattr(general, key) if general else None
        if name and (fault := unknown(name)):
            yield document.problem(("general_settings", key), fault)
    for name, section in (("router_settings", models.router_settings), ("litellm_settings", models.litellm_settings)):
        if section is not None:
            yield from _check_section(document, name, section, registry, unknown)
    for key in CHAINS:
        yield from _circles(document, key, getattr(registry.settings, key), registry)


def _check_section(
    document: Document, name: str, section: RoutingKeys, registry: Registry, unknown: Callable[[str], str | None]
) -> Iterator[Problem]:
    for alias, target in (section.model_group_alias or {}).items():
        place: KeyPath = (name, "model_group_alias", alias)
        if target.model in registry.settings.model_group_alias and registry.resolve(target.model) != target.model:
            yield document.problem(place, f"{target.model!r} is an alias itself; name its group")
        elif fault := unknown(target.model):
            yield document.problem(place, fault)
    for index, target_name in enumerate(section.default_fallbacks or []):
        if fault := unknown(target_name):
            yield document.problem((name, "default_fallbacks", index), fault)
    for key in CHAINS:
        for index, entry in enumerate(getattr(section, key) or []):
            for group, targets in entry.items():
                place = (name, key, index, group)
                if group != "*" and (fault := unknown(group)):
                    yield document.problem(place, fault)
                for position, target_name in enumerate(targets):
                    if fault := unknown(target_name):
                        yield document.problem((*place, position), fault)


def _circles(
    document: Document, key: str, chains: Mapping[str, tuple[str, ...]], registry: Registry
) -> Iterator[Problem]:
    """One problem for each circle: a fallback's own fallbacks are followed, so it would never end."""
    graph: dict[str, set[str]] = {}
    for group, targets in chains.items():
        if group != "*":
            graph.setdefault(registry.resolve(group) or group, set()).update(
                registry.resolve(each) or each for each in targets
            )
    while True:
        try:
            return TopologicalSorter(graph).prepare()
        except CycleError as exc:
            circle = exc.args[1][::-1]
        yield document.problem(_place(document, key, circle), f"the fallbacks go in a circle: {' -> '.join(circle)}")
        graph[circle[0]].discard(circle[1])  # so that the next circle comes to light


def _place(document: Document, key: str, circle: Sequence[str]) -> KeyPath:
    """Where the file names a group of the circle: in `<section>.<key>[<index>].<group>`."""
    return next((path for path in document.lines if len(path) == 4 and path[1] == key and path[3] in circle), (key,))
