"""`credential_list` of models.yaml: keys and addresses that several deployments share by name."""

from __future__ import annotations

from typing import Any

from config.errors import Problem
from config.parsing.yaml_document import Document


def resolve_credentials(document: Document) -> tuple[Any, list[Problem]]:
    """Replace every `litellm_credential_name` in the document's value by the credential's values.

    A key of the entry itself wins over the credential's. Returns the new value and a Problem for each unknown name.
    """
    value, problems = document.value, []
    entries = value.get("model_list") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        return value, []
    credentials = _by_name(value.get("credential_list"))
    result: list[Any] = []
    for index, entry in enumerate(entries):
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        name = params.get("litellm_credential_name") if isinstance(params, dict) else None
        if isinstance(params, dict) and isinstance(name, str) and name in credentials:
            entry = {**entry, "litellm_params": {**credentials[name], **params}}
        elif name is not None:
            path = ("model_list", index, "litellm_params", "litellm_credential_name")
            problems.append(document.problem(path, "credential_list has no entry with this name"))
        result.append(entry)
    return {**value, "model_list": result}, problems


def _by_name(section: Any) -> dict[str, dict[str, Any]]:
    return {
        each["credential_name"]: each["credential_values"]
        for each in (section if isinstance(section, list) else [])
        if isinstance(each, dict)
        and isinstance(each.get("credential_name"), str)
        and isinstance(each.get("credential_values"), dict)
    }
