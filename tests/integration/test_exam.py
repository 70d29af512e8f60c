"""The whole exam in its fast profile; it also has to detect a bad server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.exam.caller import Caller
from bench.exam.catalogue import SCENARIOS
from bench.exam.profile import FAST, NORMAL
from bench.exam.report import markdown, summary
from bench.exam.runner import ScenarioResult, run_exam
from bench.exam.scenario import FakeDeployment, Scenario, models_file
from bench.exam.scenario_run import ScenarioRun
from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider


async def test_no_scenario_fails() -> None:
    results = await run_exam(SCENARIOS, FAST)
    assert not {result.title: result.notes for result in results if result.verdict != "pass"}
    assert len(results) == len(SCENARIOS) + 2


def test_no_two_scenarios_share_a_name_and_there_are_enough() -> None:
    assert len({each.name for each in SCENARIOS}) == len(SCENARIOS) >= 27


def test_the_normal_profile_is_the_servers_defaults() -> None:
    assert NORMAL.router_settings() == {}
    assert set(FAST.router_settings()) == {"turn_deadline", "first_token_timeout", "stall_timeout", "cooldown_time"}


def test_each_scenario_has_its_own_groups_and_provider_models() -> None:
    async def no_check(run: ScenarioRun) -> None: ...

    deployments = {
        "main": (FakeDeployment("fake-ok?gap=1ms"), FakeDeployment("refused")),
        "spare": (FakeDeployment("fake-503"),),
    }
    written = models_file([Scenario("a", "", deployments, no_check)], {"num_retries": 1}, "http://v", "http://n")  # type: ignore[arg-type]
    entries = [(each["model_name"], each["litellm_params"]) for each in written["model_list"]]
    assert [(name, params["model"], params["api_base"]) for name, params in entries] == [
        ("a", "openai/fake-ok:a.main1?gap=1ms", "http://v"),
        ("a", "openai/refused:a.main2", "http://n"),
        ("a-spare", "openai/fake-503:a.spare1", "http://v"),
    ]
    assert written["router_settings"] == {"num_retries": 1, "fallbacks": [{"a": ["a-spare"]}]}


WHOLE = (
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"MODEL","choices":[{"index":0,'
    '"delta":{"role":"assistant","content":"TEXT"},"finish_reason":null}]}\n\n'
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"MODEL","choices":[{"index":0,'
    '"delta":{},"finish_reason":"stop"}]}\n\n'
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"MODEL","choices":[],'
    '"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
    "data: [DONE]\n\n"
)


async def run_against(raw: str, status: int = 200, **headers: str) -> ScenarioRun:
    """Run a scenario against a server that always sends this response."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=raw, headers={"x-switchboard-model": "m", **headers})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://server") as http:
        run = ScenarioRun("m", FAST, Caller(http, 1), FakeProvider())
        run.check_whole(await run.ask())
    return run


async def test_a_whole_answer_passes() -> None:
    assert (await run_against(WHOLE.replace("TEXT", ANSWER).replace("MODEL", "m"))).verdict == "pass"


@pytest.mark.parametrize(
    ("raw", "failure"),
    [
        (WHOLE.replace("TEXT", ANSWER[:100]).replace("MODEL", "m"), "not the whole answer"),
        (WHOLE.replace("TEXT", ANSWER + ANSWER).replace("MODEL", "m"), "not the whole answer"),
        (WHOLE.replace("TEXT", ANSWER).replace("MODEL", "other"), "model and header say"),
        (WHOLE.replace("TEXT", ANSWER).replace("MODEL", "m").replace("data: [DONE]\n\n", ""), "wire contract"),
        ('data: {"error":{"message":"m","type":"t","param":null,"code":"c"}}\n\ndata: [DONE]\n\n', "an error instead"),
    ],
)
async def test_an_answer_that_is_cut_doubled_mislabelled_or_broken_fails(raw: str, failure: str) -> None:
    run = await run_against(raw)
    assert run.verdict == "fail"
    assert any(failure in each for each in run.failures)


def test_the_table_for_the_docs_counts_and_shows_every_verdict() -> None:
    def result(name: str, verdict: Any) -> ScenarioResult:
        return ScenarioResult(name, f"what {name} is", verdict, 2, 3, 0.25, 0.5, ())

    results = [result("a", "pass"), result("b", "partial"), result("c", "fail")]
    assert summary(results) == "1 of 3 pass, 1 partial, 1 fail"
    assert "| what a is | pass | 2 | 3 | 0.25 s | 0.50 s |" in markdown(results, NORMAL).splitlines()


def test_the_documentation_names_every_scenario() -> None:
    text = (Path(__file__).parents[2] / "docs" / "failover.md").read_text()
    assert not [each.title for each in SCENARIOS if f"| {each.title} |" not in text]
