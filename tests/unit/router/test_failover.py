from __future__ import annotations

import asyncio
from typing import Any

import pytest

from config.deployments import Limits
from config.errors import (
    AllDeploymentsFailed,
    AnswerCut,
    AnswerInterrupted,
    BadAnswer,
    ConnectionFailed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    CredentialsRefused,
    ModelNotFound,
    ModelUnavailable,
    RateLimited,
    RequestRejected,
    SwitchboardError,
    VendorOverloaded,
)
from router.failover import FailoverRouter, RoutedTurn
from router.lanes.base import Chunk
from tests.support.scripted_lane import (
    HANG,
    ScriptedLane,
    call,
    delta,
    deployment,
    finish,
    fragment,
    router_over,
    text,
    usage,
)

GOOD = [delta({"role": "assistant"}), text("Hel"), text("lo."), finish(), usage(3, 2)]
QUICK = Limits(first_token_timeout=0.01, stall_timeout=0.01)


async def read(turn: RoutedTurn, **params: Any) -> list[Chunk]:
    stream = await turn.acompletion(messages=[{"role": "user", "content": "Hi"}], **params)
    return [chunk async for chunk in stream]


def said(chunks: list[Chunk]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


async def answer(router: FailoverRouter, model: str = "main") -> str:
    return said(await read(router.begin(model)))


async def test_text_goes_through_as_it_comes_then_the_finish_and_the_usage() -> None:
    router = router_over(ScriptedLane({"a": [GOOD]}), deployment("a"))
    chunks = await read(router.begin("main"))
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks[:2]] == ["Hel", "lo."]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["total_tokens"] == 5


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (VendorOverloaded("503"), ["a", "a", "a", "b"]),
        (RateLimited("429"), ["a", "a", "a", "b"]),
        (RateLimited("429", retry_after=1.0), ["a", "b"]),
        (ConnectionFailed("refused"), ["a", "a", "b"]),
        (BadAnswer("html"), ["a", "a", "b"]),
        (AnswerCut("cut before a token"), ["a", "a", "b"]),
        (CredentialsRefused("401"), ["a", "b"]),
    ],
    ids=lambda value: value.code if isinstance(value, SwitchboardError) else "",
)
async def test_a_failure_before_the_first_token_is_invisible(error: Exception, attempts: list[str]) -> None:
    lane = ScriptedLane({"a": [[delta({"role": "assistant"}), error]], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2), num_retries=2)
    assert await answer(router) == "Hello."
    assert lane.tried == attempts
    assert lane.closed == len(attempts)


async def test_a_retry_that_succeeds_stays_at_the_deployment() -> None:
    lane = ScriptedLane({"a": [[VendorOverloaded("503")], GOOD], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2))
    assert await answer(router) == "Hello."
    assert lane.tried == ["a", "a"]


async def test_a_silent_vendor_is_left_after_its_first_token_timeout_and_not_asked_again() -> None:
    lane = ScriptedLane({"a": [[delta({"role": "assistant"}), HANG]], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1, limits=QUICK), deployment("b", order=2))
    assert await answer(router) == "Hello."
    assert lane.tried == ["a", "b"]


async def test_role_chunks_do_not_extend_the_first_token_timeout() -> None:
    # If each of them did, they would outlast it: their number is far larger than what fits in the time.
    class Chatty(ScriptedLane):
        async def stream(self, attempt: Any) -> Any:
            if attempt.deployment.model == "b":
                async for chunk in super().stream(attempt):
                    yield chunk
                return
            while True:
                await asyncio.sleep(0)
                yield delta({"role": "assistant"})

    lane = Chatty({"b": [GOOD]})
    router = router_over(lane, deployment("a", order=1, limits=QUICK), deployment("b", order=2))
    assert await answer(router) == "Hello."


async def test_the_fallback_groups_are_tried_in_their_order_and_name_who_served() -> None:
    broken = [[CredentialsRefused("401")]]
    lane = ScriptedLane({"a": broken, "b": broken, "c": [GOOD]})
    groups = deployment("a"), deployment("b", "second"), deployment("c", "third")
    turn = router_over(lane, *groups, fallbacks={"main": ("second",), "second": ("third",)}).begin("main")
    assert said(await read(turn)) == "Hello."
    assert turn.record.model == "third"
    assert [attempt.outcome for attempt in turn.record.attempts] == ["credentials_refused", "credentials_refused", "ok"]
    assert turn.record.served_deployment == "third/c"


async def test_nothing_left_is_one_clear_error_without_the_vendors_text() -> None:
    lane = ScriptedLane({"a": [[RateLimited("429", retry_after=7.0, vendor_text="org-secret over quota")]]})
    router = router_over(lane, deployment("a"))
    with pytest.raises(AllDeploymentsFailed) as caught:
        await answer(router)
    assert caught.value.retry_after == 7.0
    assert "secret" not in str(caught.value)


async def test_with_nowhere_else_to_go_the_vendors_retry_after_is_waited_for() -> None:
    lane = ScriptedLane({"a": [[RateLimited("429", retry_after=1.5)], GOOD]})
    router = router_over(lane, deployment("a"))
    assert await answer(router) == "Hello."
    assert router.sleep.calls == [1.5]  # type: ignore[attr-defined]


async def test_a_wrong_request_goes_nowhere_else() -> None:
    lane = ScriptedLane({"a": [[RequestRejected("400")]], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2), fallbacks={"main": ("b",)})
    with pytest.raises(RequestRejected):
        await answer(router)
    assert lane.tried == ["a"]


async def test_a_prompt_that_is_too_long_goes_to_the_fallbacks_for_that() -> None:
    lane = ScriptedLane({"a": [[ContextWindowExceeded("long")]], "b": [GOOD], "long": [GOOD]})
    deployments = deployment("a", order=1), deployment("b", order=2), deployment("long", "large")
    router = router_over(lane, *deployments, context_window_fallbacks={"main": ("large",)})
    assert await answer(router) == "Hello."
    assert lane.tried == ["a", "long"]


async def test_refused_content_does_not_wander_to_the_ordinary_fallbacks() -> None:
    lane = ScriptedLane({"a": [[ContentPolicyViolation("no", category="violence")]], "b": [GOOD]})
    router = router_over(lane, deployment("a"), deployment("b", "second"), fallbacks={"main": ("second",)})
    with pytest.raises(ContentPolicyViolation) as caught:
        await answer(router)
    assert caught.value.category == "violence"
    assert lane.tried == ["a"]


async def test_an_answer_cut_after_text_is_never_passed_off_as_whole() -> None:
    lane = ScriptedLane({"a": [[text("Hel"), AnswerCut("reset")]], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2))
    stream = await router.begin("main").acompletion(messages=[])
    assert said([await anext(stream)]) == "Hel"
    with pytest.raises(AnswerInterrupted):
        await anext(stream)


async def test_a_tool_call_that_was_cut_is_asked_for_again_and_comes_once() -> None:
    cut = [delta({"tool_calls": [fragment(0, "call_1", "multiply", '{"a": ')]}), AnswerCut("reset")]
    whole = [
        delta({"tool_calls": [fragment(0, "call_2", "multiply", '{"a": ')]}),
        delta({"tool_calls": [fragment(0, None, None, "2}")]}),
        finish("tool_calls"),
    ]
    router = router_over(ScriptedLane({"a": [cut, whole]}), deployment("a"))
    chunks = await read(router.begin("main"))
    calls = [each for chunk in chunks for each in chunk["choices"][0]["delta"].get("tool_calls") or []]
    assert [(each["id"], each["function"]["arguments"]) for each in calls] == [("call_2", '{"a": 2}')]


@pytest.mark.parametrize(
    "script",
    [[finish()], [delta({"role": "assistant", "content": ""}), finish()], [call("multiply", '{"a": '), finish()]],
    ids=["nothing", "an empty text", "half a tool call"],
)
async def test_an_answer_that_is_none_is_tried_again(script: list[Chunk]) -> None:
    router = router_over(ScriptedLane({"a": [script, GOOD]}), deployment("a"))
    assert await answer(router) == "Hello."


async def test_an_answer_that_the_vendors_filter_withheld_is_a_policy_violation() -> None:
    router = router_over(ScriptedLane({"a": [[finish("content_filter")]]}), deployment("a"))
    with pytest.raises(ContentPolicyViolation):
        await answer(router)


async def test_closing_the_turn_closes_a_stream_that_nobody_reads_on() -> None:
    lane = ScriptedLane({"a": [[text("Hel"), HANG]]})
    turn = router_over(lane, deployment("a")).begin("main")
    stream = await turn.acompletion(messages=[])
    await anext(stream)
    assert turn.router.stats["main/a"].in_flight == 1
    await turn.aclose()
    assert lane.closed == 1
    assert turn.router.stats["main/a"].in_flight == 0
    assert turn.record.attempts[0].outcome == "cancelled"


async def test_what_langchain_adds_does_not_reach_the_vendor() -> None:
    lane = ScriptedLane({"a": [GOOD]})
    await read(router_over(lane, deployment("a")).begin("main"), model="main", metadata={}, temperature=0.5)
    assert lane.attempts[0].params == {"temperature": 0.5}


@pytest.mark.parametrize("name", ["gpt-9", "mai", "main "])
def test_an_unknown_model_is_named_in_the_error(name: str) -> None:
    router = router_over(ScriptedLane({}), deployment("a"))
    with pytest.raises(ModelNotFound, match=repr(name)) as caught:
        router.begin(name)
    assert caught.value.param == "model"


@pytest.mark.parametrize("name", [None, "", "default"])
async def test_no_name_means_the_default_model(name: str | None) -> None:
    lane = ScriptedLane({"a": [GOOD], "b": [GOOD]})
    turn = router_over(lane, deployment("a", missing=("KEY",)), deployment("b", "second")).begin(name)
    await read(turn)
    assert turn.record.model == "second"


def test_a_model_whose_keys_are_missing_is_unavailable_rather_than_unknown() -> None:
    router = router_over(ScriptedLane({}), deployment("a", missing=("OPENAI_API_KEY",)))
    with pytest.raises(ModelUnavailable):
        router.begin("main")


async def test_a_wildcard_is_filled_in_and_the_caller_sees_the_name_it_asked_for() -> None:
    lane = ScriptedLane({"openai/gpt-4o": [GOOD]})
    turn = router_over(lane, deployment("openai/*", "openai/*")).begin("openai/gpt-4o")
    assert said(await read(turn)) == "Hello."
    assert turn.record.model == "openai/gpt-4o"


async def test_an_alias_answers_under_the_alias() -> None:
    lane = ScriptedLane({"a": [GOOD]})
    turn = router_over(lane, deployment("a"), model_group_alias={"gpt-4o": "main"}).begin("gpt-4o")
    assert said(await read(turn)) == "Hello."
    assert turn.record.model == "gpt-4o"
