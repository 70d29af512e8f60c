"""`litellm_params.fallbacks`: what an entry falls back to, as names or as models of their own.

LiteLLM accepts names of groups, its own model names, and mappings with a `model` and other parameters. Every one that
is not the name of a group becomes an entry of model_list, so that it is read and checked like all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from config.errors import Problem
from config.models.deployments import RouterSettings, matches_group
from config.models.litellm_catalogue import provider_of
from config.models.schema import ModelsFile
from config.parsing.yaml_document import Document, KeyPath


def add_fallback_entries(document: Document) -> tuple[Document, set[str], list[Problem]]:
    """The document with an entry for each model that is only in `litellm_params.fallbacks`.

    Also returns the names of the groups that this adds, and the problems.
    """
    value = document.value
    entries = value.get("model_list") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        return document, set(), []
    names = {str(each.get("model_name")) for each in entries if isinstance(each, dict)}
    names |= _aliases(value)
    known = frozenset(names)
    result, lines, problems = list(entries), dict(document.lines), []
    for index, entry in enumerate(entries):
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        targets = params.get("fallbacks") if isinstance(params, dict) else None
        if not isinstance(params, dict) or not isinstance(targets, list):
            continue
        named: list[Any] = []
        for position, target in enumerate(targets):
            path: KeyPath = ("model_list", index, "litellm_params", "fallbacks", position)
            own = {"model": target} if isinstance(target, str) else target
            if not isinstance(own, dict) or not isinstance(own.get("model"), str):
                problems.append(document.problem(path, "must be a model name, or a mapping with `model`"))
                continue
            if len(own) == 1 and any(matches_group(each, own["model"]) for each in known):
                named.append(own["model"])
                continue
            name = _unused(own["model"], names)
            names.add(name)
            named.append(name)
            added: KeyPath = ("model_list", len(result))
            lines.update(_moved(document.lines, path, (*added, "litellm_params")))
            lines[added] = document.lines.get(path, 1)
            result.append({"model_name": name, "litellm_params": {**_shared(params, own["model"]), **own}})
        result[index] = {**entry, "litellm_params": {**params, "fallbacks": named}}
    return replace(document, value={**value, "model_list": result}, lines=lines), names - known, problems


def with_entry_fallbacks(settings: RouterSettings, models: ModelsFile) -> RouterSettings:
    """The settings with the entries' fallbacks before the group's own."""
    own: dict[str, list[str]] = {}
    for entry in models.model_list.values():
        if names := entry.litellm_params.fallbacks:
            own.setdefault(entry.model_name, []).extend(each for each in names if isinstance(each, str))
    if not own:
        return settings
    fallbacks = dict(settings.fallbacks)
    for group, targets in own.items():
        general = fallbacks.get(group) or fallbacks.get("*") or settings.default_fallbacks
        fallbacks[group] = tuple(dict.fromkeys([*targets, *general]))
    return replace(settings, fallbacks=fallbacks)


def _aliases(value: Mapping[str, Any]) -> set[str]:
    sections = (value.get(name) for name in ("router_settings", "litellm_settings"))
    found = (section.get("model_group_alias") for section in sections if isinstance(section, dict))
    return {str(alias) for aliases in found if isinstance(aliases, dict) for alias in aliases}


def _shared(params: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The entry's parameters for a fallback of the same provider; its key would be wrong for any other."""
    provider = provider_of(str(params.get("model")), params.get("custom_llm_provider"))
    same = provider is not None and provider == provider_of(model)
    return {key: each for key, each in params.items() if key != "fallbacks"} if same else {}


def _unused(name: str, names: set[str]) -> str:
    number, found = 1, name
    while found in names:
        number += 1
        found = f"{name}#{number}"
    return found


def _moved(lines: Mapping[KeyPath, int], source: KeyPath, target: KeyPath) -> dict[KeyPath, int]:
    return {(*target, *path[len(source) :]): line for path, line in lines.items() if path[: len(source)] == source}
