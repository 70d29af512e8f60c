"""The entries of model_list in models.yaml -> Deployments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from config.models.deployments import Deployment, Limits
from config.models.provider_keys import find_base, find_key, provider_of
from config.models.router_settings import given, read_limits
from config.models.schema import KnownParams, LiteLLMParams, ModelEntry, ModelInfo, ModelsFile
from config.reading.references import Unset
from config.reading.yaml_lines import Document

# What a Deployment has a field for, or what has been dealt with before; all other keys are its `params`.
_NOT_PARAMS = frozenset(
    "model api_key api_base base_url litellm_credential_name weight order rpm tpm on_cut turn_deadline "
    "first_token_timeout stall_timeout timeout request_timeout stream_timeout".split()
)
_PARAMS = [name for name in LiteLLMParams.model_fields if name not in _NOT_PARAMS]


def read_entries(
    models: ModelsFile, document: Document, limits: Limits, environ: Mapping[str, str], unset: Sequence[Unset]
) -> Iterator[Deployment]:
    """Each entry as a Deployment; `limits` hold where it sets none, `unset` are the references to nothing."""
    taken = {str(entry.model_info.id) for entry in models.model_list.values() if entry.model_info}
    for index, entry in models.model_list.items():
        place = ("model_list", index)
        own_id = entry.model_info.id if entry.model_info else None
        yield replace(
            _deployment(entry, limits, environ, [each for each in unset if each.path[:2] == place and _matters(each)]),
            id=str(own_id) if own_id is not None else _new_id(entry, taken),
            line=document.lines.get(place),
        )


def _matters(reference: Unset) -> bool:
    """Keys that have no meaning here cannot be missed either."""
    return reference.path[2:3] != ("litellm_params",) or not LiteLLMParams.is_ignored(str(reference.path[3]))


def _deployment(entry: ModelEntry, limits: Limits, environ: Mapping[str, str], unset: Sequence[Unset]) -> Deployment:
    said, info = entry.litellm_params, entry.model_info or ModelInfo()
    params = given({name: getattr(said, name) for name in _PARAMS})
    key, base, missing = _access(said, params, environ, unset)
    return Deployment(
        id="",
        group=entry.model_name,
        model=said.model,
        api_key=SecretStr(key) if key else None,
        api_base=base,
        params=params,
        limits=replace(limits, **read_limits(lambda name: getattr(said, name))),
        info=given(info.model_dump(exclude={"id"})),
        missing=missing,
        **given({name: getattr(said, name) for name in ("order", "rpm", "tpm", "weight", "on_cut")}),
    )


def _access(
    said: KnownParams, params: Mapping[str, Any], environ: Mapping[str, str], unset: Sequence[Unset]
) -> tuple[str | None, str | None, tuple[str, ...]]:
    """The key, the address, and the variables that are missing for either."""
    provider, referred = provider_of(said.model, params), {each.path[-1] for each in unset}
    key = said.api_key.get_secret_value() if said.api_key else None
    base = said.api_base or said.base_url
    missing = [each.name for each in unset]
    if not key and "api_key" not in referred:
        key, needed = find_key(provider, params, environ)
        missing += [needed] if needed else []
    if not base and not referred & {"api_base", "base_url"}:
        base, needed = find_base(provider, environ)
        missing += [needed] if needed else []
    return key, base, tuple(dict.fromkeys(missing))


def _new_id(entry: ModelEntry, taken: set[str]) -> str:
    """`group/provider-model`, fit for a header; the second of a kind ends in `#2`."""
    model = entry.litellm_params.model.partition("?")[0].replace("/", "-")
    slug = quote(f"{entry.model_name}/{model}", safe="/*.:-_+@")
    repeat, made = 1, slug
    while made in taken:
        repeat += 1
        made = f"{slug}#{repeat}"
    taken.add(made)
    return made
