from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.errors import (
    AllDeploymentsFailed,
    AnswerCut,
    AnswerInterrupted,
    BadAnswer,
    ConnectionFailed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    CredentialsRefused,
    InvalidToolCall,
    ModelNotFound,
    ModelUnavailable,
    ProviderOverloaded,
    ProviderTimeout,
    RateLimited,
    RateLimitReached,
    RequestError,
    RequestRejected,
    SwitchboardError,
)
from config.models.deployments import Timeouts
from router.failover import FailoverRouter, RoutingOverrides
from router.lanes.base import Chunk
from router.model_call import ModelCall
from router.routed_turn import RoutedTurn
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
QUICK = Timeouts(first_token_timeout=0.01, stall_timeout=0.01)


async def read(turn: RoutedTurn, **params: Any) -> list[Chunk]:
    stream = ModelCall(turn, [{"role": "user", "content": "Hi"}], params).chunks()
    return [chunk async for chunk in stream]


def said(chunks: list[Chunk]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def tool_calls_of(chunks: list[Chunk]) -> list[dict[str, Any]]:
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return [call for choice in choices for call in choice["delta"].get("tool_calls") or []]


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
        (ProviderOverloaded("503"), ["a", "a", "a", "b"]),
        (RateLimited("429"), ["a", "a", "a", "b"]),
        (RateLimited("429", retry_after=1.0), ["a", "b"]),
        (ConnectionFailed("refused"), ["a", "a", "b"]),
        (BadAnswer("html"), ["a", "a", "b"]),
        (AnswerCut("cut before a token"), ["a", "b"]),
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
    lane = ScriptedLane({"a": [[ProviderOverloaded("503")], GOOD], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2))
    assert await answer(router) == "Hello."
    assert lane.tried == ["a", "a"]


async def test_a_silent_provider_is_left_after_its_first_token_timeout_and_not_asked_again() -> None:
    lane = ScriptedLane({"a": [[delta({"role": "assistant"}), HANG]], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1, timeouts=QUICK), deployment("b", order=2))
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
    router = router_over(lane, deployment("a", order=1, timeouts=QUICK), deployment("b", order=2))
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


async def test_nothing_left_is_one_clear_error_without_the_providers_text() -> None:
    lane = ScriptedLane({"a": [[RateLimited("429", retry_after=7.0, provider_text="org-secret over quota")]]})
    router = router_over(lane, deployment("a"))
    with pytest.raises(AllDeploymentsFailed) as caught:
        await answer(router)
    assert caught.value.retry_after == pytest.approx(7.0, abs=0.5)
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("content_is_logged")
async def test_the_log_of_a_failure_has_no_address_of_an_image() -> None:
    said = "cannot fetch https://bucket.example/a.png?sig=hush, nor data:image/png;base64,aHVzaA== of your request"
    lane = ScriptedLane({"a": [[RequestRejected("400", provider_text=said)]]})
    with capture_logs() as logs, pytest.raises(RequestRejected):
        await answer(router_over(lane, deployment("a")))
    (line,) = [each for each in logs if each["event"] == "attempt_failed"]
    assert line["provider_text"] == "cannot fetch (address) nor (address) of your request"


async def test_the_log_of_a_failure_has_no_text_of_the_provider() -> None:
    lane = ScriptedLane({"a": [[RequestRejected("400", provider_text="you said: hush")]]})
    with capture_logs() as logs, pytest.raises(RequestRejected):
        await answer(router_over(lane, deployment("a")))
    assert "hush" not in str(logs)


async def test_with_nowhere_else_to_go_the_providers_retry_after_is_waited_for() -> None:
    lane = ScriptedLane({"a": [[RateLimited("429", retry_after=1.5)], GOOD]})
    router = router_over(lane, deployment("a"))
    assert await answer(router) == "Hello."
    assert router.sleep.calls == [1.5]  # type: ignore[attr-defined]


@pytest.mark.parametrize("last", ["main", "second"])
async def test_a_vendors_429_with_everything_else_failing_is_the_callers_429(last: str) -> None:
    limit, refused = [[RateLimited("429", retry_after=7.0)]], [[CredentialsRefused("401")]]
    lane = ScriptedLane({"a": limit if last == "main" else refused, "b": refused if last == "main" else limit})
    router = router_over(lane, deployment("a"), deployment("b", "second"), fallbacks={"main": ("second",)})
    with pytest.raises(RateLimitReached) as caught:
        await answer(router)
    assert caught.value.retry_after is not None
    assert lane.tried == ["a", "b"]


async def test_without_a_429_the_caller_is_told_of_no_rate_limit() -> None:
    router = router_over(ScriptedLane({"a": [[ProviderOverloaded("503")]]}), deployment("a"))
    with pytest.raises(AllDeploymentsFailed) as caught:
        await answer(router)
    assert type(caught.value) is AllDeploymentsFailed


async def test_a_400_is_one_providers_opinion_and_is_neither_retried_nor_counted() -> None:
    lane = ScriptedLane({"a": [[RequestRejected("400")]], "b": [[RequestRejected("422")]], "c": [GOOD]})
    deployments = deployment("a", order=1), deployment("b", order=2), deployment("c", "second")
    router = router_over(lane, *deployments, fallbacks={"main": ("second",)}, allowed_fails=1)
    for _ in range(2):
        assert await answer(router) == "Hello."
    assert lane.tried == ["a", "b", "c"] * 2
    assert {router.breakers.state(each.breaker_id) for each in deployments} == {"closed"}


async def test_when_all_refuse_the_first_refusal_is_the_callers() -> None:
    lane = ScriptedLane({"a": [[RequestRejected("first")]], "b": [[RequestRejected("second")]]})
    router = router_over(lane, deployment("a"), deployment("b", "second"), fallbacks={"main": ("second",)})
    with pytest.raises(RequestRejected, match="first"):
        await answer(router)
    assert lane.tried == ["a", "b"]


@pytest.mark.parametrize("first", [RequestRejected("400"), ProviderOverloaded("503")], ids=["400", "503"])
async def test_when_not_all_refuse_the_request_may_be_right(first: Exception) -> None:
    other = ProviderOverloaded("503") if isinstance(first, RequestRejected) else RequestRejected("400")
    lane = ScriptedLane({"a": [[first]], "b": [[other]]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2))
    with pytest.raises(AllDeploymentsFailed):
        await answer(router)


async def test_a_request_that_our_own_checks_refuse_goes_nowhere_else() -> None:
    lane = ScriptedLane({"a": [[RequestError("no JSON")]], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2))
    with pytest.raises(RequestError, match="no JSON"):
        await answer(router)
    assert lane.tried == ["a"]


async def test_groups_that_fall_back_to_each_other_are_tried_once_each_also_by_another_name() -> None:
    broken = [[ProviderTimeout("slow")]]
    lane = ScriptedLane({"a": broken, "b": broken})
    router = router_over(
        lane,
        deployment("a"),
        deployment("b", "second"),
        fallbacks={"main": ("second",), "second": ("alias", "main/a", "main")},
        model_group_alias={"alias": "main"},
    )
    with pytest.raises(AllDeploymentsFailed):
        await answer(router)
    assert lane.tried == ["a", "b"]


@pytest.mark.parametrize(
    ("script", "params", "state"),
    [
        ([finish()], {"stop": ["a"]}, "closed"),
        ([finish()], {}, "open"),
        ([call("multiply", '{"a": '), finish("length")], {"max_tokens": 5}, "closed"),
        ([call("multiply", '{"a": '), finish()], {"max_tokens": 5}, "open"),
    ],
    ids=["stop sequence", "empty", "token limit", "half a call"],
)
async def test_an_answer_that_the_callers_parameters_cut_is_not_counted(
    script: list[Chunk], params: dict[str, Any], state: str
) -> None:
    lane = ScriptedLane({"a": [script], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2), allowed_fails=1)
    assert said(await read(router.begin("main"), **params)) == "Hello."
    assert router.breakers.state("main/a") == state


async def test_a_tool_call_that_the_models_provider_refuses_is_not_counted() -> None:
    lane = ScriptedLane({"a": [[InvalidToolCall("tool_use_failed")]], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2), allowed_fails=1)
    assert await answer(router) == "Hello."
    assert lane.tried == ["a", "a", "b"]
    assert router.breakers.state("main/a") == "closed"


async def test_a_prompt_that_is_too_long_goes_to_the_fallbacks_for_that() -> None:
    lane = ScriptedLane({"a": [[ContextWindowExceeded("long")]], "b": [GOOD], "long": [GOOD]})
    deployments = deployment("a", order=1), deployment("b", order=2), deployment("long", "large")
    router = router_over(lane, *deployments, context_window_fallbacks={"main": ("large",)})
    assert await answer(router) == "Hello."
    assert lane.tried == ["a", "long"]


@pytest.mark.parametrize(
    "settings",
    [
        {"fallbacks": {"main": ("large",)}},
        {"default_fallbacks": ("large",)},
        {"fallbacks": {"main": ("large",)}, "context_window_fallbacks": {"main": ("large",)}},
        {"fallbacks": {"main": ("second", "large")}, "context_window_fallbacks": {"main": ("large",)}},
    ],
    ids=["only fallbacks", "only default_fallbacks", "both lists", "both lists, not first"],
)
async def test_a_group_in_any_list_is_there_for_a_prompt_that_is_too_long(settings: dict[str, Any]) -> None:
    lane = ScriptedLane({"a": [[ContextWindowExceeded()]], "b": [[ContextWindowExceeded()]], "long": [GOOD]})
    deployments = deployment("a"), deployment("b", "second"), deployment("long", "large")
    assert await answer(router_over(lane, *deployments, **settings)) == "Hello."
    assert lane.tried == ["a", "long"]


async def test_a_fallback_that_was_tried_already_is_not_asked_again_for_a_long_prompt() -> None:
    lane = ScriptedLane({"a": [[CredentialsRefused("401")]], "b": [[ContextWindowExceeded()]], "long": [GOOD]})
    deployments = deployment("a"), deployment("b", "second"), deployment("long", "large")
    both = {"fallbacks": {"main": ("second",)}, "context_window_fallbacks": {"main": ("second", "large")}}
    assert await answer(router_over(lane, *deployments, **both)) == "Hello."
    assert lane.tried == ["a", "b", "long"]


async def test_a_group_in_both_lists_is_there_for_refused_content() -> None:
    lane = ScriptedLane({"a": [[ContentPolicyViolation("no")]], "b": [GOOD]})
    both = {"fallbacks": {"main": ("second",)}, "content_policy_fallbacks": {"main": ("second",)}}
    assert await answer(router_over(lane, deployment("a"), deployment("b", "second"), **both)) == "Hello."
    assert lane.tried == ["a", "b"]


async def test_a_prompt_that_cannot_fit_goes_to_the_fallbacks_for_that() -> None:
    lane = ScriptedLane({"long": [GOOD]})
    deployments = deployment("a", info={"max_input_tokens": 10}), deployment("b", "second"), deployment("long", "large")
    lists = {"fallbacks": {"main": ("second",)}, "context_window_fallbacks": {"main": ("large",)}}
    turn = router_over(lane, *deployments, **lists).begin("main")
    messages = [{"role": "user", "content": "word " * 100}]
    assert said([chunk async for chunk in ModelCall(turn, messages, {}).chunks()]) == "Hello."
    assert lane.tried == ["long"]


async def test_refused_content_does_not_wander_to_the_ordinary_fallbacks() -> None:
    lane = ScriptedLane({"a": [[ContentPolicyViolation("no", category="violence")]], "b": [GOOD]})
    router = router_over(lane, deployment("a"), deployment("b", "second"), fallbacks={"main": ("second",)})
    with pytest.raises(ContentPolicyViolation) as caught:
        await answer(router)
    assert caught.value.category == "violence"
    assert lane.tried == ["a"]


WHOLE = "Your table for two is booked for seven this evening. See you soon!"
HEARD, REST = WHOLE[:32], WHOLE[32:]


@pytest.mark.parametrize(
    "failure", [AnswerCut("reset"), BadAnswer("in-band error"), HANG], ids=["cut", "error", "stall"]
)
@pytest.mark.parametrize("second", [REST, WHOLE, WHOLE[19:]], ids=["goes on", "starts again", "overlaps"])
async def test_an_answer_that_breaks_off_is_continued_and_every_word_is_heard_once(failure: Any, second: str) -> None:
    lane = ScriptedLane({"a": [[text(HEARD), failure], [failure]], "b": [[*map(text, second), finish()]]})
    router = router_over(lane, deployment("a", order=1, timeouts=QUICK), deployment("b", order=2))
    assert await answer(router) == WHOLE
    assert lane.tried[-1] == "b"
    assert lane.attempts[-1].messages[1] == {"role": "assistant", "content": HEARD}
    assert lane.attempts[-1].messages[-1]["role"] == "user"


async def test_a_model_that_takes_a_prefill_gets_one() -> None:
    lane = ScriptedLane({"a": [[text(HEARD), AnswerCut("reset")]], "b": [[text(REST), finish()]]})
    prefills = deployment("b", order=2, info={"supports_assistant_prefill": True})
    assert await answer(router_over(lane, deployment("a", order=1), prefills)) == WHOLE
    assert lane.attempts[1].messages[-1] == {"role": "assistant", "content": HEARD.rstrip()}


async def test_a_prefill_that_is_refused_never_surfaces() -> None:
    scripts = {
        "a": [[text(HEARD), AnswerCut("reset")]],
        "b": [[RequestRejected("no prefill")], [text(WHOLE), finish()]],
    }
    lane = ScriptedLane(scripts)
    prefills = deployment("b", order=2, info={"supports_assistant_prefill": True})
    assert await answer(router_over(lane, deployment("a", order=1), prefills)) == WHOLE
    assert [attempt.messages[-1]["role"] for attempt in lane.attempts] == ["user", "assistant", "user"]


async def test_what_was_held_back_at_the_seam_is_said_at_the_end() -> None:
    lane = ScriptedLane({"a": [[text("See you soon"), AnswerCut("reset")]], "b": [[text("!"), finish()]]})
    assert await answer(router_over(lane, deployment("a", order=1), deployment("b", order=2))) == "See you soon!"


async def test_a_continuation_that_breaks_off_too_is_continued_in_turn() -> None:
    third = WHOLE[45:]
    scripts = {
        "a": [[text(HEARD), AnswerCut("1")]],
        "b": [[text(WHOLE[:45]), AnswerCut("2")]],
        "c": [[text(third), finish()]],
    }
    lane = ScriptedLane(scripts)
    router = router_over(lane, *[deployment(name, order=order) for order, name in enumerate("abc")])
    assert await answer(router) == WHOLE


async def test_the_rest_of_a_refusal_is_a_refusal() -> None:
    def refusal(words: str) -> Chunk:
        return delta({"content": words, "refusal": words})

    lane = ScriptedLane(
        {
            "a": [[refusal("I can not"), AnswerCut("reset")]],
            "b": [[refusal("I can "), refusal("not do that."), finish()]],
        }
    )
    chunks = await read(router_over(lane, deployment("a", order=1), deployment("b", order=2)).begin("main"))
    refused = [choice["delta"].get("refusal") or "" for chunk in chunks for choice in chunk["choices"]]
    assert "".join(refused) == said(chunks) == "I can not do that."


async def test_json_that_breaks_off_is_completed_or_is_an_error_but_never_broken() -> None:
    begun, other, again = '{"answer": "Hel', [text('{"answer": "Hi"}'), finish()], '{"answer":"Hello"}'
    scripts = {"a": [[text(begun), AnswerCut("reset")]] * 2, "b": [other] * 3, "c": [[text(again), finish()]]}
    lane = ScriptedLane(scripts)
    three = [deployment(name, order=order) for order, name in enumerate("abc")]
    json_object = {"response_format": {"type": "json_object"}}
    assert said(await read(router_over(lane, *three).begin("main"), **json_object)) == '{"answer": "Hello"}'
    assert lane.tried == ["a", "b", "c"]
    with pytest.raises(AnswerInterrupted):
        await read(router_over(lane, *three[:2]).begin("main"), **json_object)


async def test_an_answer_that_nothing_can_continue_is_never_passed_off_as_whole() -> None:
    lane = ScriptedLane({"a": [[text("Hel"), AnswerCut("reset")], [AnswerCut("again")]]})
    stream = ModelCall(router_over(lane, deployment("a")).begin("main"), [], {}).chunks()
    chunks = []
    with pytest.raises(AnswerInterrupted):
        async for chunk in stream:
            chunks.append(chunk)
    assert said(chunks) == "Hel"
    assert lane.tried == ["a", "a"]


@pytest.mark.parametrize("where", ["deployment", "router"])
async def test_a_group_may_rather_have_the_error_than_a_continuation(where: str) -> None:
    lane = ScriptedLane({"a": [[text("Hel"), AnswerCut("reset")]], "b": [GOOD]})
    fields, settings = ({"on_cut": "error"}, {}) if where == "deployment" else ({}, {"on_cut": "error"})
    router = router_over(lane, deployment("a", order=1, **fields), deployment("b", order=2), **settings)
    with pytest.raises(AnswerInterrupted):
        await answer(router)
    assert lane.tried == ["a"]


async def test_a_wrong_request_after_text_is_an_interrupted_answer() -> None:
    lane = ScriptedLane({"a": [[text("Hel"), AnswerCut("reset")]], "b": [[RequestRejected("400")]]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2))
    with pytest.raises(AnswerInterrupted):
        await answer(router)


async def test_a_tool_call_after_spoken_text_survives_a_cut() -> None:
    begun = [text("One moment. "), delta({"tool_calls": [fragment(0, "c1", "multiply", '{"a"')]}), AnswerCut("reset")]
    again = [text("One moment. "), call("multiply", '{"a":1}', "c2"), finish("tool_calls")]
    router = router_over(ScriptedLane({"a": [begun], "b": [again]}), deployment("a", order=1), deployment("b", order=2))
    chunks = await read(router.begin("main"))
    assert said(chunks) == "One moment. "
    calls = tool_calls_of(chunks)
    assert [each["function"]["arguments"] for each in calls] == ['{"a":1}']


async def test_a_deployment_that_keeps_failing_is_left_alone() -> None:
    lane = ScriptedLane({"a": [[CredentialsRefused("401")]], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2))
    for _ in range(3):
        assert await answer(router) == "Hello."
    assert lane.tried == ["a", "b", "b", "b"]
    assert router.breakers.state("main/a") == "open"


async def test_when_all_rest_one_is_tried_rather_than_refusing() -> None:
    lane = ScriptedLane({"a": [[CredentialsRefused("401")], GOOD], "b": [[CredentialsRefused("401")]]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2))
    with pytest.raises(AllDeploymentsFailed):
        await answer(router)
    assert await answer(router) == "Hello."
    assert lane.tried == ["a", "b", "a"]


async def test_a_caller_who_hangs_up_does_not_count_against_the_provider() -> None:
    lane = ScriptedLane({"a": [[text("Hel"), HANG]]})
    router = router_over(lane, deployment("a"), allowed_fails=1)
    for _ in range(3):
        stream = ModelCall(router.begin("main"), [], {}).chunks()
        await anext(stream)
        await stream.aclose()
    assert router.breakers.state("main/a") == "closed"


async def test_a_caller_who_hangs_up_on_a_probe_leaves_its_place_to_the_next() -> None:
    lane = ScriptedLane({"a": [[CredentialsRefused("401")], [text("Hel"), HANG], GOOD], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2), cooldown_time=0.001)
    assert await answer(router) == "Hello."
    async with asyncio.timeout(1):
        while router.breakers.state("main/a") != "half-open":
            await asyncio.sleep(0.001)
    probe = ModelCall(router.begin("main"), [], {}).chunks()
    await anext(probe)
    assert not router.breakers.allows("main/a")
    await probe.aclose()
    assert await answer(router) == "Hello."
    assert lane.tried == ["a", "b", "a", "a"]


async def test_the_requests_of_a_minute_are_limited_and_the_next_deployment_takes_the_rest() -> None:
    lane = ScriptedLane({"a": [GOOD], "b": [GOOD]})
    router = router_over(lane, deployment("a", order=1, rpm=1), deployment("b", order=2))
    assert [await answer(router), await answer(router)] == ["Hello.", "Hello."]
    assert lane.tried == ["a", "b"]


async def test_a_prompt_that_cannot_fit_is_not_sent() -> None:
    lane = ScriptedLane({"a": [GOOD], "b": [GOOD]})
    small = deployment("a", order=1, info={"max_input_tokens": 10})
    messages = [{"role": "user", "content": "word " * 100}]
    turn = router_over(lane, small, deployment("b", order=2)).begin("main")
    assert said([chunk async for chunk in ModelCall(turn, messages, {}).chunks()]) == "Hello."
    assert lane.tried == ["b"]
    alone = router_over(lane, small).begin("main")
    with pytest.raises(ContextWindowExceeded):
        await anext(ModelCall(alone, messages, {}).chunks())


async def test_the_data_of_an_image_is_not_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
    turn = router_over(ScriptedLane({"a": [GOOD]}), deployment("a", info={"max_input_tokens": 10})).begin("main")
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]
    assert said([chunk async for chunk in ModelCall(turn, messages, {}).chunks()]) == "Hello."


HEDGED = {"hedge_after": 0.005, "hedge_budget": 1.0}
LATE = [delta({"role": "assistant"}), HANG]


async def test_a_late_first_token_is_raced_and_the_losers_line_is_closed() -> None:
    lane = ScriptedLane({"a": [LATE], "b": [GOOD]})
    turn = router_over(lane, deployment("a", order=1), deployment("b", order=2), **HEDGED).begin("main")
    assert said(await read(turn)) == "Hello."
    assert lane.closed == 2
    assert (turn.record.model, turn.record.served_deployment) == ("main", "main/b")
    assert turn.router.breakers.state("main/a") == "closed"


async def test_the_losers_line_does_not_wait_for_the_winners_end() -> None:
    lane = ScriptedLane({"a": [LATE], "b": [[text("Hel"), HANG]]})
    turn = router_over(lane, deployment("a", order=1), deployment("b", order=2), **HEDGED).begin("main")
    stream = ModelCall(turn, [], {}).chunks()
    assert said([await anext(stream)]) == "Hel"
    assert lane.closed == 1
    await stream.aclose()


async def test_a_hedge_that_fails_does_not_hurt() -> None:
    gate = asyncio.Event()

    class Gated(ScriptedLane):
        async def stream(self, attempt: Any) -> Any:
            if attempt.deployment.model == "a":
                await gate.wait()
            async for chunk in super().stream(attempt):
                yield chunk

    lane = Gated({"a": [GOOD], "b": [[BadAnswer("html")]]})
    turn = router_over(lane, deployment("a", order=1), deployment("b", order=2), **HEDGED).begin("main")
    reading = asyncio.create_task(read(turn))
    async with asyncio.timeout(1):
        while [each.outcome for each in turn.record.attempts] != ["cancelled", "bad_answer"]:
            await asyncio.sleep(0.001)
        gate.set()
        assert said(await reading) == "Hello."
    assert [each.outcome for each in turn.record.attempts] == ["ok", "bad_answer"]


async def test_a_turn_is_hedged_at_most_once() -> None:
    lane = ScriptedLane({"a": [LATE, GOOD], "b": [GOOD, LATE]})
    soon = Timeouts(first_token_timeout=0.05)
    first, second = (deployment(name, order=order, timeouts=soon) for order, name in enumerate("ab"))
    turn = router_over(lane, first, second, **HEDGED).begin("main")
    turn.router.hedges.turns = 100
    await read(turn)
    await read(turn)
    assert [each.outcome for each in turn.record.attempts] == ["cancelled", "ok", "provider_timeout", "ok"]


@pytest.mark.parametrize(
    ("settings", "billed"),
    [({"hedge_after": None}, ""), ({**HEDGED, "hedge_budget": 0.0}, ""), (HEDGED, "a"), (HEDGED, "b")],
    ids=["off", "no budget", "the first is billed", "the second is billed"],
)
async def test_nothing_is_raced_where_it_must_not_be(settings: dict[str, Any], billed: str) -> None:
    lane = ScriptedLane({"a": [LATE], "b": [GOOD]})
    info = {name: {"bills_on_cancel": True} if name == billed else {} for name in "ab"}
    first = deployment("a", order=1, info=info["a"], timeouts=Timeouts(first_token_timeout=0.05))
    turn = router_over(lane, first, deployment("b", order=2, info=info["b"]), **settings).begin("main")
    assert said(await read(turn)) == "Hello."
    assert [each.outcome for each in turn.record.attempts] == ["provider_timeout", "ok"]


async def test_the_budget_bounds_the_share_of_hedged_turns() -> None:
    lane = ScriptedLane({"a": [LATE], "b": [GOOD]})
    quick = Timeouts(first_token_timeout=0.02)
    deployments = deployment("a", order=1, timeouts=quick), deployment("b", order=2)
    router = router_over(lane, *deployments, hedge_after=0.005, hedge_budget=0.25, allowed_fails=1000)
    for _ in range(8):
        assert await answer(router) == "Hello."
    assert router.hedges.hedged == 2


async def test_closing_a_turn_that_is_raced_closes_both_lines() -> None:
    lane = ScriptedLane({"a": [LATE], "b": [LATE]})
    turn = router_over(lane, deployment("a", order=1), deployment("b", order=2), **HEDGED).begin("main")
    reading = asyncio.create_task(read(turn))
    async with asyncio.timeout(1):
        while len(lane.attempts) < 2:
            await asyncio.sleep(0.001)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert lane.closed == 2


async def test_a_request_may_name_its_own_fallbacks_and_retries_or_want_none() -> None:
    lane = ScriptedLane({"a": [[ProviderOverloaded("503")]], "b": [GOOD], "c": [GOOD]})
    groups = deployment("a"), deployment("b", "second"), deployment("c", "third")
    router = router_over(lane, *groups, fallbacks={"main": ("second",)})
    turn = router.begin("main", RoutingOverrides(fallbacks=("third",), num_retries=0))
    assert said(await read(turn)) == "Hello."
    assert lane.tried == ["a", "c"]
    with pytest.raises(AllDeploymentsFailed):
        await read(router.begin("main", RoutingOverrides(fallbacks=(), num_retries=1)))
    assert lane.tried == ["a", "c", "a", "a"]
    with pytest.raises(RequestError, match="fourth"):
        router.begin("main", RoutingOverrides(fallbacks=("fourth",)))


async def test_the_usage_is_what_all_attempts_that_spoke_cost() -> None:
    cut, silent = [usage(3, 1), text(HEARD), usage(3, 6), AnswerCut("reset")], [usage(50, 0), AnswerCut("reset")]
    lane = ScriptedLane({"a": [cut], "b": [silent], "c": [[text(REST), finish(), usage(9, 7)]]})
    router = router_over(lane, *[deployment(name, order=order) for order, name in enumerate("abc")])
    told = [chunk["usage"] for chunk in await read(router.begin("main")) if chunk.get("usage")]
    assert [(each["prompt_tokens"], each["completion_tokens"]) for each in told] == [(3, 6), (9, 7)]


async def test_json_that_is_another_answer_costs_what_it_cost_and_its_attempt_failed() -> None:
    begun, other, again = '{"answer": "Hel', '{"answer": "Hi"}', '{"answer":"Hello"}'
    scripts = {
        "a": [[usage(3, 1), text(begun), AnswerCut("reset")]],
        "b": [[text(other), finish(), usage(4, 2)]],
        "c": [[text(again), finish(), usage(5, 3)]],
    }
    three = [deployment(name, order=order) for order, name in enumerate("abc")]
    turn = router_over(ScriptedLane(scripts), *three).begin("main")
    chunks = await read(turn, response_format={"type": "json_object"})
    assert [chunk["usage"]["total_tokens"] for chunk in chunks if chunk.get("usage")] == [4, 6, 8]
    assert [each.outcome for each in turn.record.attempts] == ["answer_cut", "answer_cut", "ok"]


async def test_usage_is_priced_by_models_yaml() -> None:
    prices = {"input_cost_per_token": 0.5, "output_cost_per_token": 1.0}
    turn = router_over(ScriptedLane({"a": [GOOD]}), deployment("a", info=prices)).begin("main")
    await read(turn)
    assert turn.record.cost == 3 * 0.5 + 2 * 1.0


async def test_a_tool_call_that_was_cut_is_asked_for_again_and_comes_once() -> None:
    cut = [delta({"tool_calls": [fragment(0, "call_1", "multiply", '{"a": ')]}), AnswerCut("reset")]
    whole = [
        delta({"tool_calls": [fragment(0, "call_2", "multiply", '{"a": ')]}),
        delta({"tool_calls": [fragment(0, None, None, "2}")]}),
        finish("tool_calls"),
    ]
    router = router_over(ScriptedLane({"a": [cut, whole]}), deployment("a"))
    chunks = await read(router.begin("main"))
    calls = tool_calls_of(chunks)
    assert [each["function"]["arguments"] for each in calls] == ['{"a": 2}']


@pytest.mark.parametrize(
    "script",
    [[finish()], [delta({"role": "assistant", "content": ""}), finish()], [call("multiply", '{"a": '), finish()]],
    ids=["nothing", "an empty text", "half a tool call"],
)
async def test_an_answer_that_is_none_is_tried_again(script: list[Chunk]) -> None:
    router = router_over(ScriptedLane({"a": [script, GOOD]}), deployment("a"))
    assert await answer(router) == "Hello."


async def test_an_answer_that_the_providers_filter_withheld_is_a_policy_violation() -> None:
    router = router_over(ScriptedLane({"a": [[finish("content_filter")]]}), deployment("a"))
    with pytest.raises(ContentPolicyViolation):
        await answer(router)


async def test_closing_a_stream_that_nobody_reads_on_closes_the_providers() -> None:
    lane = ScriptedLane({"a": [[text("Hel"), HANG]]})
    turn = router_over(lane, deployment("a")).begin("main")
    stream = ModelCall(turn, [], {}).chunks()
    await anext(stream)
    assert turn.router.stats["main/a"].in_flight == 1
    await stream.aclose()
    assert lane.closed == 1
    assert turn.router.stats["main/a"].in_flight == 0
    assert turn.record.attempts[0].outcome == "cancelled"


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


async def test_each_name_under_a_wildcard_has_its_own_breaker() -> None:
    lane = ScriptedLane({"openai/typo": [[CredentialsRefused("404")]], "openai/gpt-4o": [GOOD]})
    router = router_over(lane, deployment("openai/*", "openai/*"))
    with pytest.raises(AllDeploymentsFailed):
        await answer(router, "openai/typo")
    asked = router.registry.current.deployments[0]
    assert router.breakers.state(asked.for_model("openai/typo").breaker_id) == "open"
    assert router.breakers.state(asked.for_model("openai/gpt-4o").breaker_id) == "closed"
    assert await answer(router, "openai/gpt-4o") == "Hello."


@pytest.mark.parametrize(
    "name",
    ["azure/../../openai/files#", "azure/..", "azure/.", "azure/a/../b", "azure/a//b", "azure/", "azure//a", "azure/a/",
     "azure/a?b=c", "azure/a#b", "azure/a%2e%2e", "azure/a b", "azure/a\\b", "azure/a\n", "azure/ü"],
)  # fmt: skip
def test_a_name_cannot_leave_the_providers_path(name: str) -> None:
    router = router_over(ScriptedLane({}), deployment("azure/*", "azure/*"))
    with pytest.raises(ModelNotFound):
        router.begin(name)


@pytest.mark.parametrize(
    "name", ["azure/gpt-4o", "azure/org/model.v1:free", "azure/arn:aws:bedrock:us-east-1:1:profile/a", "azure/a@1+b"]
)
def test_a_name_of_plain_segments_is_served(name: str) -> None:
    assert router_over(ScriptedLane({}), deployment("azure/*", "azure/*")).begin(name).model == name


async def test_fallbacks_of_a_name_that_a_wildcard_serves_win_over_those_of_the_wildcard() -> None:
    broken = [[CredentialsRefused("401")]]
    lane = ScriptedLane({"openai/one": broken, "openai/two": broken, "b": [GOOD], "c": [GOOD]})
    deployments = deployment("openai/*", "openai/*"), deployment("b", "second"), deployment("c", "third")
    lists = {"openai/one": ("openai/two",), "openai/two": ("second",), "openai/*": ("third",)}
    router = router_over(lane, *deployments, fallbacks=lists)
    assert await answer(router, "openai/one") == "Hello."
    assert lane.tried == ["openai/one", "openai/two", "b"]


async def test_an_alias_answers_under_the_alias() -> None:
    lane = ScriptedLane({"a": [GOOD]})
    turn = router_over(lane, deployment("a"), model_group_alias={"gpt-4o": "main"}).begin("gpt-4o")
    assert said(await read(turn)) == "Hello."
    assert turn.record.model == "gpt-4o"
