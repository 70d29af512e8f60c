"""Examples of files and JSON in README and docs/ are valid."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.models.models_file import check_models
from config.models.schema import ModelsFile
from config.profile.agent_file import AgentFile, check_agent

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(yaml|json|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ELLIPSIS = re.compile(r"\.\.\.(?!\")")
"""Something is left out, so that the block is no JSON. In a string it stands for any text."""


def examples() -> Iterator[Any]:
    for document in DOCUMENTS:
        for number, (kind, text) in enumerate(BLOCK.findall(document.read_text("utf-8"))):
            if kind != "json" or not ELLIPSIS.search(text):
                yield pytest.param(kind, text, id=f"{document.relative_to(ROOT)}-{number}")


def problems(text: str, folder: Path) -> list[str]:
    """The problems of a part of models.yaml or agent.yaml; other YAML needs only to be YAML."""
    value = yaml.safe_load(text)
    if not isinstance(value, dict):
        return []
    file = folder / "example.yaml"
    if value.keys() & {"model_list", "router_settings", "litellm_settings", "general_settings"}:
        file.write_text(text)
        return [str(each) for each in check_models(file, {})[1]]
    if value.keys() & (AgentFile.model_fields.keys() - ModelsFile.model_fields.keys()):
        file.write_text(yaml.safe_dump({"system_prompt": "Be kind.", **value}))
        return [str(each) for each in check_agent(file, {"ORDERS_AUTHORIZATION": "x"})[1]]
    return []


@pytest.mark.parametrize(("kind", "text"), list(examples()))
def test_an_example_is_valid(kind: str, text: str, tmp_path: Path) -> None:
    if kind == "python":
        compile(text, "<example>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    elif kind == "json":
        json.loads(text)
    else:
        assert not problems(text, tmp_path)


def test_a_wrong_example_is_found(tmp_path: Path) -> None:
    assert problems("model_list:\n  - model_name: a\n    litellm_params: {modell: openai/gpt-4.1}\n", tmp_path)
    assert problems("tools: [transferCal]\n", tmp_path)
    assert not problems("scrape_configs: []\n", tmp_path)
