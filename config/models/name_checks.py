"""Checks the names in models.yaml: the groups behind fallbacks, aliases and the default model must exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from config.errors import Problem
from config.models.deployments import Registry
from config.models.router_settings import FALLBACK_KEYS
from config.models.schema import ModelsFile, RoutingKeys
from config.parsing.validation import did_you_mean
from config.parsing.yaml_document import Document, KeyPath


def check_names(document: Document, models: ModelsFile, registry: Registry) -> Iterator[Problem]:
    """A Problem for every name that no group, alias or wildcard matches."""
    known = dict.fromkeys([*(each.group for each in registry.deployments), *registry.settings.model_group_alias])

    def unknown(name: str) -> str | None:
        if registry.resolve(name) is not None:
            return None
        return f"no group, alias or wildcard matches {name!r}{did_you_mean(name, known)}"

    general = models.general_settings
    for key in ("default_model", "completion_model"):
        name = getattr(general, key) if general else None
        if name and (message := unknown(name)):
            yield document.problem(("general_settings", key), message)
    for name, section in (("router_settings", models.router_settings), ("litellm_settings", models.litellm_settings)):
        if section is not None:
            yield from _check_section(document, name, section, registry, unknown)


def _check_section(
    document: Document, name: str, section: RoutingKeys, registry: Registry, unknown: Callable[[str], str | None]
) -> Iterator[Problem]:
    for alias, target in (section.model_group_alias or {}).items():
        path: KeyPath = (name, "model_group_alias", alias)
        if target.model in registry.settings.model_group_alias and registry.resolve(target.model) != target.model:
            yield document.problem(path, f"{target.model!r} is an alias; use the name of its group")
        elif message := unknown(target.model):
            yield document.problem(path, message)
    for index, target_name in enumerate(section.default_fallbacks or []):
        if message := unknown(target_name):
            yield document.problem((name, "default_fallbacks", index), message)
    for key in FALLBACK_KEYS:
        for index, entry in enumerate(getattr(section, key) or []):
            for group, targets in entry.items():
                path = (name, key, index, group)
                if group != "*" and (message := unknown(group)):
                    yield document.problem(path, message)
                for position, target_name in enumerate(targets):
                    if message := unknown(target_name):
                        yield document.problem((*path, position), message)
