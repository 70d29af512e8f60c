"""The reference pages are what the code says now, and say something about everything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from api.docs.reference.error_codes import of_attempts, of_callers
from api.docs.reference.pages import SEE_AGENT, SEE_MODELS, SEE_SETTINGS, pages
from config.errors import RateLimited, SessionBusy, StorageUnavailable
from config.models.deployments import RouterSettings, Timeouts
from config.models.schema import ModelsFile, RouterSection
from config.parsing.sections import Section, section_at
from config.profile.agent_file import AgentFile, AgentProfile
from config.profile.mcp_servers import McpServerSection
from config.profile.own_tools import HttpToolSection
from config.settings import Settings

FOLDER = Path(__file__).parents[4] / "docs" / "reference"
PAGES = pages()


def rows(text: str) -> dict[str, tuple[str, ...]]:
    """The rows of all tables by their first cell."""
    lines = [re.split(r" (?<!\\)\| ", line[2:-2]) for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): tuple(cells[1:]) for cells in lines}


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == PAGES[name], "run: make docs"


def test_no_other_page_is_there() -> None:
    assert {each.name for each in FOLDER.iterdir()} == set(PAGES)


def test_every_setting_and_key_is_described() -> None:
    undescribed = [name for name, field in Settings.model_fields.items() if not field.description]
    for model in (ModelsFile, AgentFile, McpServerSection, HttpToolSection):
        undescribed += [f"{model.__name__}.{name}" for name in _undescribed(model)]
    assert not undescribed


def _undescribed(model: type[Section]) -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        found += [] if field.description else [name]
        if (inner := section_at(model, (name,))) and not inner.__name__.endswith("Policy"):
            found += [f"{name}.{each}" for each in _undescribed(inner)]
    return found


@pytest.mark.parametrize(
    "name",
    ["num_retries", "allowed_fails", "cooldown_time", "retry_after", "max_retry_after", "hedge_budget", "on_cut"],
)
def test_a_described_default_of_the_router_is_the_real_one(name: str) -> None:
    assert_says(RouterSection, name, getattr(RouterSettings(), name))


@pytest.mark.parametrize("name", ["turn_deadline", "first_token_timeout", "stall_timeout"])
def test_a_described_timeout_is_the_real_one(name: str) -> None:
    assert_says(RouterSection, name, getattr(Timeouts(), name))


@pytest.mark.parametrize("name", ["system_prompt_mode", "function_call_object", "reasoning_content", "max_steps"])
def test_a_described_default_of_the_agent_is_the_real_one(name: str) -> None:
    assert_says(AgentFile, name, getattr(AgentProfile("Be kind."), name))


def assert_says(model: type[Section], name: str, value: Any) -> None:
    text = f"{value:g}" if isinstance(value, float) else str(value).lower()
    assert re.search(rf"Default `?{re.escape(text)}`?(?:[.;]|$)", model.model_fields[name].description or ""), text


def test_every_link_belongs_to_a_key() -> None:
    assert SEE_MODELS.keys() <= rows(PAGES["models-yaml.md"]).keys()
    assert SEE_AGENT.keys() <= rows(PAGES["agent-yaml.md"]).keys()
    assert SEE_SETTINGS.keys() <= Settings.model_fields.keys()


def test_an_error_has_its_status_type_and_time() -> None:
    assert f"| 409 | `{SessionBusy.code}` | `conflict_error` | yes |" in of_callers()
    assert f"| 503 | `{StorageUnavailable.code}` | `server_error` | yes |" in of_callers()
    assert "| 400 | `context_length_exceeded` | `invalid_request_error` |  |" in of_callers()


def test_classes_of_attempts_are_apart() -> None:
    assert f"`{RateLimited.code}`" in of_attempts() and f"`{RateLimited.code}`" not in of_callers()


def test_metrics_have_their_labels_and_names_as_prometheus_shows_them() -> None:
    metrics = rows(PAGES["metrics.md"])
    assert metrics["switchboard_turns_total"][:2] == ("`model`, `outcome`", "counter")
    assert metrics["switchboard_turn_seconds"][1].startswith("histogram: 0.1, ")
    assert metrics["switchboard_breaker_state"][:2] == ("`deployment`, `state`", "gauge")


def test_a_key_that_means_the_same_again_is_only_named() -> None:
    text = PAGES["models-yaml.md"]
    assert text.count("| `num_retries` |") == 1 and "As above: `routing_strategy`" in text
