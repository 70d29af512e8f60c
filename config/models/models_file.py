"""models.yaml -> Registry. The format is LiteLLM's; `schema.py` has the supported keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from config.errors import ConfigError, Problem
from config.models.credentials import resolve_credentials
from config.models.deployments import Deployment, Registry
from config.models.entry_fallbacks import add_fallback_entries, with_entry_fallbacks
from config.models.litellm_catalogue import mode_of
from config.models.model_checks import check_providers, proxy_only_providers, unlisted_models
from config.models.model_list import read_model_list
from config.models.name_checks import check_names
from config.models.provider_keys import BASE_VARIABLES, OTHER_BASES
from config.models.router_settings import read_router_settings
from config.models.schema import ModelsFile, UnsupportedStrategy, index_list
from config.models.unknown_keys import remove_unknown_keys
from config.parsing.env_references import UnsetReference, misspelled_references, resolve_env_references
from config.parsing.sections import section_at
from config.parsing.urls import base_url
from config.parsing.validation import IgnoredKeys, validate
from config.parsing.yaml_document import Document, format_path, parse_yaml, read_yaml

_SETTINGS = ("router_settings", "litellm_settings", "general_settings")
_CHAT_MODES = (None, "chat", "completion", "responses")
_EMBEDDING_MODE = "embedding"
_MASTER_KEY = "general_settings.master_key"


def load_models(file: Path, environ: Mapping[str, str]) -> Registry:
    """Read models.yaml; `environ` resolves its `os.environ/NAME` references.

    An unset variable is not an error: the deployment lists it in `missing`. Raises ConfigError with every problem.
    """
    registry, problems = check_models(file, environ)
    if problems:
        raise ConfigError(problems)
    return registry


def check_models(
    file: Path, environ: Mapping[str, str], text: str | None = None
) -> tuple[Registry, tuple[Problem, ...]]:
    """Read models.yaml, or check `text` in its place. Returns the valid part and every problem. Never raises."""
    document = read_yaml(file) if text is None else parse_yaml(text, file)
    if document.value is None:
        return Registry((), source=file), document.problems or (Problem("the file is empty", file=file),)
    document, standby, invalid_fallbacks = add_fallback_entries(document)
    value, unknown_credentials = resolve_credentials(document)
    environ = _with_file_variables(value, environ)
    value, unset = resolve_env_references(_with_indexed_models(value), environ)
    unknown = remove_unknown_keys(value, document)
    models, invalid, ignored = validate(ModelsFile, document, unknown.value)
    problems = [*document.problems, *invalid_fallbacks, *unknown_credentials, *invalid]
    problems += [document.problem(path, message) for path, message in misspelled_references(document.value)]
    if models is None:
        return Registry((), source=file), tuple(problems)
    settings = with_entry_fallbacks(read_router_settings(models), models)
    deployments = tuple(
        replace(_with_known_mode(each), listed=each.group not in standby)
        for each in read_model_list(models, document, settings.timeouts, environ, unset, unknown.passed_on)
    )
    proxy_only = proxy_only_providers(value)
    registry = Registry(deployments, settings, source=file)
    problems += [*_duplicate_ids(models, document), *check_names(document, models, registry)]
    problems += [*check_providers(models, document, proxy_only), *_invalid_bases(environ, deployments)]
    served = [each for each in deployments if each.model.partition("/")[0] not in proxy_only]
    chat = tuple(each for each in served if each.info.get("mode") in _CHAT_MODES)
    embedding = tuple(each for each in served if each.info.get("mode") == _EMBEDDING_MODE)
    warnings = [*unknown.warnings, *unlisted_models(models, document), *_warnings(models, served, unset, ignored)]
    if left_out := [each.id for each in deployments if each not in served]:
        warnings.append(f"left out because only a LiteLLM proxy has their provider: {', '.join(left_out)}")
    return replace(registry, deployments=chat, embeddings=embedding, warnings=tuple(warnings)), tuple(problems)


def _invalid_bases(environ: Mapping[str, str], deployments: Sequence[Deployment]) -> Iterator[Problem]:
    used = {each.api_base for each in deployments}
    for variable in chain(BASE_VARIABLES.values(), *OTHER_BASES.values()):
        url = environ.get(variable, "").strip()
        if url and url in used:
            try:
                base_url(url)
            except ValueError as exc:
                yield Problem(str(exc), key=variable)


def _with_known_mode(deployment: Deployment) -> Deployment:
    """The deployment with LiteLLM's mode for its model, if the file has none and LiteLLM knows that it cannot chat."""
    if deployment.info.get("mode") is not None or deployment.model.startswith("fake/"):
        return deployment
    mode = mode_of(deployment.info.get("base_model"), deployment.model)
    return deployment if mode in _CHAT_MODES else replace(deployment, info={**deployment.info, "mode": mode})


def _with_file_variables(value: Any, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` plus the file's `environment_variables`; the real environment wins."""
    section = value.get("environment_variables") if isinstance(value, dict) else None
    variables, _ = resolve_env_references(section, environ) if isinstance(section, dict) else ({}, [])
    return {
        **{name: str(each) for name, each in variables.items()},
        **{name: each for name, each in environ.items() if each},
    }


def _with_indexed_models(value: Any) -> Any:
    if not isinstance(value, dict) or "model_list" not in value:
        return value
    return {**value, "model_list": index_list(value["model_list"])}


def _duplicate_ids(models: ModelsFile, document: Document) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, entry in models.model_list.items():
        own = entry.model_info.id if entry.model_info else None
        if own is None:
            continue
        if str(own) in first:
            earlier = format_path(("model_list", first[str(own)]))
            yield document.problem(
                ("model_list", index, "model_info", "id"), f"duplicate id; {earlier} already uses it"
            )
        first.setdefault(str(own), index)


def _warnings(
    models: ModelsFile, deployments: Sequence[Deployment], unset: Sequence[UnsetReference], ignored: IgnoredKeys
) -> Iterator[str]:
    for each in unset:
        section = section_at(ModelsFile, each.path[:1])
        if section and len(each.path) == 2 and each.path[0] in _SETTINGS:
            if each.path[1] in section.model_fields:
                yield f"{format_path(each.path)}: environment variable {each.variable} is not set; using the default"
    for name, routing in (("router_settings", models.router_settings), ("litellm_settings", models.litellm_settings)):
        if routing and routing.routing_strategy in get_args(UnsupportedStrategy):
            yield f"{name}.routing_strategy: {routing.routing_strategy} is not supported; using simple-shuffle"
    unsupported = [each for each in deployments if each.info.get("mode") not in (*_CHAT_MODES, _EMBEDDING_MODE)]
    if unsupported:
        named = ", ".join(f"{each.id} ({each.info['mode']})" for each in unsupported)
        yield f"left out because they neither chat nor embed: {named}"
    unused = [f"{section.label}.{key}".lstrip(".") for section, keys in ignored.items() for key in keys]
    if _MASTER_KEY in unused:
        unused.remove(_MASTER_KEY)
        yield f"{_MASTER_KEY} is ignored: callers' tokens are in SWITCHBOARD_API_TOKENS, in .env or the environment"
    if unused:
        yield f"these keys of LiteLLM's proxy are ignored: {', '.join(sorted(unused))}"
