"""model_list of models.yaml -> Deployments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from config.models.deployments import Deployment, Timeouts
from config.models.entry_schema import KnownParams, LiteLLMParams, ModelEntry, ModelInfo, PricedSection
from config.models.provider_keys import find_base, find_key, provider_by_prefix
from config.models.provider_packages import missing_package
from config.models.router_settings import drop_none, read_timeouts
from config.models.schema import ModelsFile
from config.parsing.env_references import UnsetReference
from config.parsing.yaml_document import Document

# Keys that a Deployment has a field for, or that have been resolved before. Prices become its `info`, like those of
# model_info. All other keys become its `params`.
_NOT_PARAMS = frozenset(
    "model api_key api_base base_url litellm_credential_name weight order rpm tpm on_cut fallbacks turn_deadline "
    "first_token_timeout stall_timeout timeout request_timeout stream_timeout".split()
)
_PRICES = tuple(PricedSection.model_fields)
_PARAMS = [name for name in LiteLLMParams.model_fields if name not in _NOT_PARAMS and name not in _PRICES]


def read_model_list(
    models: ModelsFile,
    document: Document,
    timeouts: Timeouts,
    environ: Mapping[str, str],
    unset: Sequence[UnsetReference],
    passed_on: Mapping[int, Mapping[str, Any]],
) -> Iterator[Deployment]:
    """A Deployment for each entry, or for each of its organizations.

    `timeouts` are the defaults; `unset` are references to unset variables; `passed_on` are unknown parameters by entry.
    """
    used_ids = {str(entry.model_info.id) for entry in models.model_list.values() if entry.model_info}
    for index, entry in models.model_list.items():
        path = ("model_list", index)
        own_id = entry.model_info.id if entry.model_info else None
        own_unset = [each for each in unset if each.path[:2] == path and not _is_ignored(each)]
        deployment = _deployment(entry, timeouts, environ, own_unset, passed_on.get(index, {}))
        for number, params in enumerate(_by_organization(deployment.params)):
            yield replace(
                deployment,
                id=_generate_id(entry, used_ids) if own_id is None or number else str(own_id),
                line=document.lines.get(path),
                params=params,
            )


def _is_ignored(reference: UnsetReference) -> bool:
    """Whether the key has no effect here, so that its variable is not needed either."""
    return reference.path[2:3] == ("litellm_params",) and LiteLLMParams.is_ignored(str(reference.path[3]))


def _by_organization(params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parameters for each of the organizations, as in LiteLLM."""
    organizations = params.get("organization")
    if not isinstance(organizations, list):
        return [params]
    return [{**params, "organization": each} for each in organizations]


def _deployment(
    entry: ModelEntry,
    timeouts: Timeouts,
    environ: Mapping[str, str],
    unset: Sequence[UnsetReference],
    passed_on: Mapping[str, Any],
) -> Deployment:
    known, info = entry.litellm_params, entry.model_info or ModelInfo()
    params = drop_none({**{name: getattr(known, name) for name in _PARAMS}, **passed_on})
    key, base, missing = _key_and_base(known, params, environ, unset)
    return Deployment(
        id="",
        group=entry.model_name,
        model=known.model,
        api_key=SecretStr(key) if key else None,
        api_base=base,
        params=params,
        timeouts=replace(timeouts, **read_timeouts(lambda name: getattr(known, name))),
        info=drop_none(info.model_dump(exclude={"id"})) | drop_none({name: getattr(known, name) for name in _PRICES}),
        missing=missing,
        **drop_none({name: getattr(known, name) for name in ("order", "rpm", "tpm", "weight", "on_cut")}),
    )


def _key_and_base(
    known: KnownParams, params: Mapping[str, Any], environ: Mapping[str, str], unset: Sequence[UnsetReference]
) -> tuple[str | None, str | None, tuple[str, ...]]:
    """The API key, the base URL, and what is missing: environment variables, and packages."""
    provider, referenced = provider_by_prefix(known.model, params), {each.path[-1] for each in unset}
    key = known.api_key.get_secret_value().strip() if known.api_key else None
    base = (known.api_base or known.base_url or "").strip() or None
    missing = [each.variable for each in unset]
    if not key and "api_key" not in referenced:
        key, needed = find_key(provider, params, environ)
        missing += [needed] if needed else []
    if not base and not referenced & {"api_base", "base_url"}:
        base, needed = find_base(provider, environ)
        missing += [needed] if needed else []
    if package := missing_package(provider, params):
        missing.append(package)
    return key, base, tuple(dict.fromkeys(missing))


def _generate_id(entry: ModelEntry, used_ids: set[str]) -> str:
    """`group/provider-model`, safe for an HTTP header; a duplicate gets the suffix `#2`."""
    model = entry.litellm_params.model.partition("?")[0].replace("/", "-")
    slug = quote(f"{entry.model_name}/{model}", safe="/*.:-_+@")
    number, generated = 1, slug
    while generated in used_ids:
        number += 1
        generated = f"{slug}#{number}"
    used_ids.add(generated)
    return generated
