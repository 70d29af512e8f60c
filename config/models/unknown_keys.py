"""Unknown keys of models.yaml. LiteLLM ignores them or passes them on, and its files must work here.

- In the settings sections: a warning with the nearest known name.
- At the top, and in an entry of model_list: the same, but a misspelled name is an error: it would lose a section.
- In `litellm_params`: a parameter of the provider. It is sent with every request, and one warning lists all of them. A
  name that is one letter away from a known one is an error: `api_bse` would send the key to the wrong server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.models.entry_schema import LiteLLMParams, ModelEntry
from config.models.schema import ModelsFile
from config.parsing.sections import Section, section_at
from config.parsing.validation import did_you_mean, is_misspelled
from config.parsing.yaml_document import Document, KeyPath


@dataclass(frozen=True, slots=True)
class UnknownKeys:
    """`value` is the file's value without the unknown keys that are no errors. `passed_on` are the unknown
    `litellm_params` of each entry of model_list.
    """

    value: Any
    passed_on: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def remove_unknown_keys(value: Any, document: Document) -> UnknownKeys:
    """Separate the unknown keys of `value`, whose model_list is a mapping by index."""
    warnings: list[str] = []
    passed_on: dict[int, dict[str, Any]] = {}
    value = _without_unknown(value, ModelsFile, (), document, warnings)
    entries = value.get("model_list") if isinstance(value, dict) else None
    if isinstance(entries, dict):
        kept = {}
        for index, entry in entries.items():
            entry = _without_unknown(entry, ModelEntry, ("model_list", index), document, warnings)
            params = entry.get("litellm_params") if isinstance(entry, dict) else None
            if isinstance(params, dict) and (unknown := _tolerated(params, LiteLLMParams)):
                passed_on[index] = {key: params[key] for key in unknown}
                entry = {**entry, "litellm_params": {key: params[key] for key in params if key not in unknown}}
            kept[index] = entry
        value = {**value, "model_list": kept}
    if names := sorted({key for params in passed_on.values() for key in params}):
        warnings.append(f"these litellm_params are unknown and are sent to the provider unchanged: {', '.join(names)}")
    return UnknownKeys(value, passed_on, tuple(warnings))


def _without_unknown(value: Any, section: type[Section], path: KeyPath, document: Document, warnings: list[str]) -> Any:
    """`value` without the unknown keys of `section` and of the sections in it; adds a warning for each."""
    if not isinstance(value, dict):
        return value
    unknown, result = _tolerated(value, section), {}
    for key, each in value.items():
        if key in unknown:
            hint = did_you_mean(key, section.model_fields) or did_you_mean(key, section.ignored)
            warnings.append(str(document.problem((*path, key), f"unknown key, ignored{hint}")))
            continue
        inner = section_at(section, (key,))
        if inner is not None and inner.unknown_keys == "ignored":
            each = _without_unknown(each, inner, (*path, key), document, warnings)
        result[key] = each
    return result


def _tolerated(value: Mapping[str, Any], section: type[Section]) -> set[str]:
    """The unknown keys of a section that are no errors."""
    unknown = {key for key in value if key not in section.model_fields and not section.is_ignored(key)}
    if section.unknown_keys == "ignored unless misspelled":
        return {key for key in unknown if not is_misspelled(key, section.model_fields)}
    return unknown
