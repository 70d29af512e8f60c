import asyncio
import json
from contextlib import aclosing

import pytest

from config import errors
from config.models.deployments import Deployment
from config.models.fake_models import NAMED_FAILURES
from router.fake.fake_failures import HANGING, MID_ANSWER
from router.fake.fake_lane import FakeLane
from router.fake.sample_text import ANSWER, sample_pieces
from router.lanes.base import LaneRequest
from tests.support.virtual_clock import run_virtually

TRANSFER = {
    "type": "function",
    "function": {
        "name": "transferCall",
        "parameters": {
            "type": "object",
            "properties": {"destination": {"type": "string", "enum": ["+1234567890", "+4930"]}},
            "required": ["destination"],
        },
    },
}
END_CALL = {"type": "function", "function": {"name": "end_call"}}
MULTIPLY = {
    "type": "function",
    "function": {
        "name": "multiply",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer", "minimum": 2}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}


def attempt(said, model="fake/echo", history=(), deployment_params=None, **params):
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": said}, *history]
    deployment = Deployment(id="fake-1", group="fake", model=model, params=deployment_params or {})
    return LaneRequest(deployment, messages, params, timeout=5)


async def collect(attempt):
    async with aclosing(FakeLane().stream(attempt)) as stream:
        return [chunk async for chunk in stream]


def answer(attempt):
    """What an attempt comes to: the text, the calls as (name, arguments), the finish reason."""
    return folded(run_virtually(collect(attempt)))


def folded(chunks):
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    calls = [call["function"] for choice in choices for call in choice["delta"].get("tool_calls", ())]
    (reason,) = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return text, [(call["name"], json.loads(call["arguments"])) for call in calls], reason


def called(name, arguments="{}", result="42"):
    """An assistant message with one call, and its result."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]


# Plain words


def test_plain_words_are_echoed():
    assert answer(attempt("What time is it?")) == ("You said: What time is it?", [], "stop")


def test_content_parts_are_read_for_their_text():
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    assert answer(attempt(parts))[0] == "You said: look"


def test_a_conversation_without_a_user_message_is_greeted():
    deployment = Deployment(id="f", group="f", model="fake/echo")
    silent = LaneRequest(deployment, [{"role": "system", "content": "hi"}], {}, timeout=5)
    assert answer(silent)[0] == "Hello! This is the fake model."


@pytest.mark.parametrize(
    "said", ["I want to talk to a human", "Transfer me!", "a REAL PERSON please", "转人工", "我要人工服务"]
)
def test_wanting_a_human_transfers_to_the_first_allowed_destination(said):
    expected = ("Connecting you now. ", [("transferCall", {"destination": "+1234567890"})], "tool_calls")
    assert answer(attempt(said, tools=[MULTIPLY, TRANSFER])) == expected


def test_a_transfer_tool_without_parameters_is_called_without_arguments():
    tool = {"type": "function", "function": {"name": "transfer_to_number", "parameters": {"type": "object"}}}
    assert answer(attempt("human!", tools=[tool]))[1] == [("transfer_to_number", {})]


@pytest.mark.parametrize("said", ["ok, goodbye", "Bye!", "好的，再见"])
def test_a_goodbye_ends_the_call(said):
    assert answer(attempt(said, tools=[TRANSFER, END_CALL])) == ("Goodbye. ", [("end_call", {})], "tool_calls")


@pytest.mark.parametrize("params", [{}, {"tools": [MULTIPLY]}, {"tools": [TRANSFER], "tool_choice": "none"}])
def test_wanting_a_human_is_echoed_when_no_transfer_can_be_called(params):
    assert answer(attempt("human", **params)) == ("You said: human", [], "stop")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "multiply"}}])
def test_a_forced_tool_is_called_with_the_least_arguments_that_fit(choice):
    expected = ("", [("multiply", {"a": 2, "b": 0})], "tool_calls")
    assert answer(attempt("hello", tools=[MULTIPLY, TRANSFER], tool_choice=choice)) == expected


def test_a_tools_result_is_quoted_and_no_further_tool_is_called():
    done = attempt("human", history=called("multiply"), tools=[MULTIPLY, TRANSFER], tool_choice="required")
    assert answer(done) == ("The tool answered: 42", [], "stop")


def test_json_is_answered_where_json_is_asked_for():
    assert json.loads(answer(attempt("hi", response_format={"type": "json_object"}))[0]) == {"answer": "You said: hi"}
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert json.loads(answer(attempt("hi", response_format=form))[0]) == {"n": 0}


# Scripts


def test_a_script_sends_text_and_calls_in_order():
    script = '/say One moment.\n/call multiply {"a": 6, "b": 7}\n/call book {}'
    expected = ("One moment.", [("multiply", {"a": 6, "b": 7}), ("book", {})], "tool_calls")
    assert answer(attempt(script)) == expected


def test_other_lines_of_a_script_are_sent_as_text():
    assert answer(attempt("/say One.\nTwo.\n\n/say Three."))[0] == "One. Two. Three."


def test_a_call_without_arguments_gets_those_its_schema_needs():
    assert answer(attempt("/call multiply", tools=[MULTIPLY]))[1] == [("multiply", {"a": 2, "b": 0})]
    assert answer(attempt("/call unheard_of", tools=[MULTIPLY]))[1] == [("unheard_of", {})]


def test_broken_arguments_are_sent_unchanged():
    chunks = run_virtually(collect(attempt("/call multiply {oops")))
    calls = [
        call for chunk in chunks if chunk["choices"] for call in chunk["choices"][0]["delta"].get("tool_calls", ())
    ]
    assert [call["function"]["arguments"] for call in calls] == ["{oops"]


def test_then_waits_for_the_tools_results():
    script = "/call first\n/then\n/call second\n/then\n/say Done."
    assert answer(attempt(script))[1] == [("first", {})]
    assert answer(attempt(script, history=called("first")))[1] == [("second", {})]
    assert answer(attempt(script, history=called("first") + called("second"))) == ("Done.", [], "stop")


def test_after_the_end_of_a_script_the_tool_result_is_quoted():
    assert answer(attempt("/call first", history=called("first", result="sunny")))[0] == "The tool answered: sunny"


def test_a_message_that_only_looks_like_a_script_is_echoed():
    assert answer(attempt("/etc/passwd is a file"))[0] == "You said: /etc/passwd is a file"


@pytest.mark.parametrize(
    ("script", "what_is_wrong"),
    [
        ("/say hi\n/sya ho", "/sya ho"),
        ("/wait soon", "'soon' is not a duration"),
        ("/fail 200", "unknown failure"),
        ("/tokens many", "whole number"),
        ("/call", "tool's name"),
        ("/tokens 10000\n" * 17, "16 times"),
    ],
)
def test_an_invalid_script_is_rejected_with_its_line(script, what_is_wrong):
    with pytest.raises(errors.RequestRejected) as caught:
        answer(attempt(script))
    assert what_is_wrong in str(caught.value)


def test_a_prefill_is_continued_after_the_failure():
    script = "/say one two three\n/fail cut\n/say four five"
    with pytest.raises(errors.AnswerCut):
        answer(attempt(script))
    prefill = [{"role": "assistant", "content": "one two three"}]
    assert answer(attempt(script, history=prefill))[0] == " four five"
    unrelated = [{"role": "assistant", "content": "something else"}]
    with pytest.raises(errors.AnswerCut):
        answer(attempt(script, history=unrelated))


# The wire


def test_the_chunks_are_openais():
    chunks = run_virtually(collect(attempt("/say a b\n/call f\n/call g")))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert [delta["content"] for delta in deltas[1:3]] == ["a", " b"]
    calls = [delta["tool_calls"][0] for delta in deltas[3:5]]
    assert [call["index"] for call in calls] == [0, 1]
    assert len({call["id"] for call in calls}) == 2
    assert all(set(call) == {"index", "id", "type", "function"} for call in calls)
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * 5 + ["tool_calls"]
    assert chunks[-1]["choices"] == []
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all(chunk["object"] == "chat.completion.chunk" and chunk["model"] == "fake/echo" for chunk in chunks)


def test_usage_counts_words():
    usage = run_virtually(collect(attempt("/say one two three")))[-1]["usage"]
    assert usage == {"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9}


def test_two_answers_have_different_ids():
    first, second = (run_virtually(collect(attempt("hi")))[0]["id"] for _ in range(2))
    assert first != second


def test_the_answer_ends_at_max_tokens():
    assert answer(attempt("/say one two three", max_tokens=2)) == ("one two", [], "length")
    assert answer(attempt("/say one two three", max_tokens=3)) == ("one two three", [], "stop")
    assert answer(attempt("/say one two three", deployment_params={"max_tokens": 1}))[0] == "one"
    assert answer(attempt("/say one two three", deployment_params={"max_tokens": 1}, max_tokens=2))[0] == "one two"


@pytest.mark.parametrize("stop", ["three", ["nine", "three", "five"]])
def test_the_answer_ends_before_a_stop_sequence(stop):
    assert answer(attempt("/say one two three four\n/call f", stop=stop)) == ("one two ", [], "stop")


def test_a_script_chooses_the_finish_reason():
    assert answer(attempt("/say one\n/finish content_filter\n/say two")) == ("one", [], "content_filter")


# ResponseTiming


def test_the_timing_sets_when_each_token_comes():
    assert moments(attempt("/say one two three", model="fake/echo?first=200ms&gap=20ms")) == pytest.approx(
        [0.2, 0.22, 0.24]
    )


def test_without_a_timing_there_is_no_delay():
    assert set(moments(attempt("one two three"))) == {0.0}


def test_a_wait_is_a_pause_between_words():
    assert moments(attempt("/say one\n/wait 500ms\n/say two")) == pytest.approx([0, 0.5])


def test_tokens_ask_for_exactly_that_many_words():
    text = answer(attempt("tell me", model="fake/echo?tokens=64"))[0]
    assert text == "".join(sample_pieces(64))
    assert len(moments(attempt("tell me", model="fake/echo?tokens=64"))) == 64
    assert answer(attempt("/tokens 60"))[0] == ANSWER


def moments(attempt):
    """When each token came, in seconds from the start."""

    async def timed():
        loop = asyncio.get_running_loop()
        async with aclosing(FakeLane().stream(attempt)) as stream:
            return [
                loop.time()
                async for chunk in stream
                if chunk["choices"] and chunk["choices"][0]["delta"].get("content")
            ]

    return run_virtually(timed())


# Failures


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429", errors.RateLimited),
        ("401", errors.CredentialsRefused),
        ("404", errors.CredentialsRefused),
        ("400", errors.RequestRejected),
        ("422", errors.RequestRejected),
        ("408", errors.ProviderOverloaded),
        ("409", errors.ProviderOverloaded),
        ("503", errors.ProviderOverloaded),
        ("reset", errors.ConnectionFailed),
        ("cut", errors.AnswerCut),
        ("html", errors.BadAnswer),
        ("empty", errors.BadAnswer),
        ("error", errors.BadAnswer),
        ("context", errors.ContextWindowExceeded),
        ("filter", errors.ContentPolicyViolation),
    ],
)
def test_each_failure_is_the_error_that_a_real_lane_raises(kind, error):
    for failing in (attempt(f"/fail {kind}"), attempt("hi", model=f"fake/{kind}")):
        with pytest.raises(errors.SwitchboardError) as caught:
            answer(failing)
        assert type(caught.value) is error
        assert getattr(caught.value, "status", None) in (None, 200, int(kind) if kind.isdigit() else None)


def test_every_named_failure_hangs_or_is_tested_above():
    marks = test_each_failure_is_the_error_that_a_real_lane_raises.pytestmark
    tested = {kind for mark in marks for kind, _ in mark.args[1]}
    assert set(NAMED_FAILURES) - tested == HANGING


def test_a_rate_limit_can_name_a_time():
    with pytest.raises(errors.RateLimited) as caught:
        answer(attempt("/fail 429 1.5s"))
    assert caught.value.retry_after == 1.5


@pytest.mark.parametrize("kind", ["503", "reset", "html", "error"])
def test_after_the_first_word_a_failure_is_a_cut_answer(kind):
    with pytest.raises(errors.AnswerCut):
        answer(attempt(f"/say one\n/fail {kind}"))


def test_a_cut_comes_after_25_words():
    async def spoken():
        words = []
        with pytest.raises(errors.AnswerCut):
            async for chunk in FakeLane().stream(attempt("hi", model="fake/cut")):
                words.append(chunk["choices"][0]["delta"]["content"])
        return "".join(words)

    text = run_virtually(spoken())
    assert len(text.split()) == 25
    assert ANSWER.startswith(text)


@pytest.mark.parametrize(("kind", "words"), [("silent", 0), ("stall", 25)])
def test_a_hanging_answer_stays_open_until_it_is_cancelled(kind, words):
    async def listen():
        heard = []

        async def hear():
            async for chunk in FakeLane().stream(attempt("hi", model=f"fake/{kind}")):
                heard.append(chunk["choices"][0]["delta"]["content"])

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hear(), 60)
        return len("".join(heard).split())

    assert run_virtually(listen()) == words
    assert (kind in MID_ANSWER) == (words > 0)


@pytest.mark.parametrize("model", ["fake/eco", "fake/200", "fake/echo?timing=1s", "fake/"])
def test_an_unknown_fake_model_is_refused(model):
    with pytest.raises(errors.CredentialsRefused) as caught:
        answer(attempt("hi", model=model))
    assert caught.value.status == 404


async def test_cancelling_passes_through():
    heard = asyncio.Event()

    async def hear():
        async for _ in FakeLane().stream(attempt("hi there", model="fake/echo?gap=60s")):
            heard.set()

    task = asyncio.create_task(hear())
    await heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
