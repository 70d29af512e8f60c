"""models.yaml -> Registry. The format is LiteLLM's; `models_schema` lists the keys that have a meaning here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from config.errors import ConfigError, Problem
from config.models.deployments import Deployment, Registry
from config.models.entries import read_entries
from config.models.fallbacks import check_names
from config.models.router_settings import read_policies
from config.models.schema import ModelsFile, OtherStrategy, number
from config.reading.references import Unset, fill_in, own_environment, share_credentials
from config.reading.sections import Ignored, section_at, validate
from config.reading.yaml_lines import Document, dotted, read_yaml

_SETTINGS = ("router_settings", "litellm_settings", "general_settings")
_CHAT_MODES = (None, "chat", "completion", "responses")
_EMBEDDING = "embedding"


def load_models(file: Path, environ: Mapping[str, str]) -> Registry:
    """Read models.yaml, with `environ` for its `os.environ/NAME`.

    Raises ConfigError with every problem. A name that is not set is none: its deployment says so in `missing`.
    """
    registry, problems = check_models(file, environ)
    if problems:
        raise ConfigError(problems)
    return registry


def check_models(file: Path, environ: Mapping[str, str]) -> tuple[Registry, tuple[Problem, ...]]:
    """Read models.yaml for a report: whatever of it can be used, and every problem. Never raises."""
    document = read_yaml(file)
    if document.value is None:
        return Registry((), source=file), document.problems or (Problem("the file is empty", file=file),)
    shared, bad_names = share_credentials(document)
    environ = own_environment(shared, environ)
    value, unset = fill_in(_numbered(shared), environ)
    models, faults, ignored = validate(ModelsFile, document, value)
    problems = [*document.problems, *bad_names, *faults]
    if models is None:
        return Registry((), source=file), tuple(problems)
    settings = read_policies(models)
    deployments = tuple(read_entries(models, document, settings.limits, environ, unset))
    registry = Registry(deployments, settings, source=file)
    problems += [*_repeated_ids(models, document), *check_names(document, models, registry)]
    chatting = tuple(each for each in deployments if each.info.get("mode") in _CHAT_MODES)
    embedding = tuple(each for each in deployments if each.info.get("mode") == _EMBEDDING)
    warnings = tuple(_warnings(models, deployments, unset, ignored))
    return replace(registry, deployments=chatting, embeddings=embedding, warnings=warnings), tuple(problems)


def _numbered(value: Any) -> Any:
    if not isinstance(value, dict) or "model_list" not in value:
        return value
    return {**value, "model_list": number(value["model_list"])}


def _repeated_ids(models: ModelsFile, document: Document) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, entry in models.model_list.items():
        own = entry.model_info.id if entry.model_info else None
        if own is None:
            continue
        if str(own) in first:
            earlier = dotted(("model_list", first[str(own)]))
            yield document.problem(("model_list", index, "model_info", "id"), f"{earlier} has the same id")
        first.setdefault(str(own), index)


def _warnings(
    models: ModelsFile, deployments: Sequence[Deployment], unset: Sequence[Unset], ignored: Ignored
) -> Iterator[str]:
    for each in unset:
        section = section_at(ModelsFile, each.path[:1])
        if section and len(each.path) == 2 and each.path[0] in _SETTINGS:
            if each.path[1] in section.model_fields:
                yield f"{dotted(each.path)}: the environment variable {each.name} is not set; the default is used"
    for name, section_said in (
        ("router_settings", models.router_settings),
        ("litellm_settings", models.litellm_settings),
    ):
        if section_said and section_said.routing_strategy in get_args(OtherStrategy):
            strategy = section_said.routing_strategy
            yield f"{name}.routing_strategy: {strategy} does not exist here; simple-shuffle stands in"
    silent = [each.id for each in deployments if each.info.get("mode") not in (*_CHAT_MODES, _EMBEDDING)]
    if silent:
        yield f"left out, because model_info.mode says that they neither chat nor embed: {', '.join(silent)}"
    named = [f"{section.place}.{key}".lstrip(".") for section, keys in ignored.items() for key in keys]
    if named:
        yield f"these keys of LiteLLM's proxy have no meaning here: {', '.join(sorted(named))}"
