"""Calls of a script on a server that answers as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import yaml

from api.rehearsal.carrier import Carrier
from api.rehearsal.player import rehearse
from api.rehearsal.report import as_json
from api.rehearsal.results import CallResult
from api.rehearsal.script_file import load_script
from tests.support.small_relay import SmallRelay, serving_relay

Json = dict[str, Any]
Send = Callable[[Any], Awaitable[None]]
TRANSFER = "<Response><Dial><Number>+14155550199</Number></Dial></Response>"


async def echo(send: Send, frame: Json) -> None:
    """Says what the caller said or pressed."""
    if said := frame.get("voicePrompt") or frame.get("digit"):
        for word in f"You said {said}".split():
            await send({"type": "text", "token": f"{word} ", "last": False})
        await send({"type": "text", "token": "", "last": True})


async def played(folder: Path, relay: SmallRelay, *steps: Json, callers: int = 1, **script: Any) -> list[CallResult]:
    file = folder / "script.yaml"
    call = {"name": "One", "steps": list(steps), **script.pop("call", {})}
    file.write_text(yaml.safe_dump({"pace": 0, "timeout": 5, "calls": [call], **script}))
    async with serving_relay(relay), Carrier(relay.url, "secret") as carrier:
        return await rehearse(load_script(file), carrier, callers, lambda _: None)


def failed(result: CallResult) -> list[tuple[str | None, str]]:
    return [(each.key, each.message) for each in result.all_problems]


async def test_a_call_is_as_the_script_says(tmp_path: Path) -> None:
    relay = SmallRelay(echo, greeting="Hello!")
    (result,) = await played(
        tmp_path,
        relay,
        {"expect": {"contains": "hello"}},
        {"say": "Hi", "expect": {"contains": "you said hi", "first_word_within": 5}},
        {"dial": "7", "expect": {"matches": "said 7 $|said 7$"}},
        call={"from": "+1415", "to": "+1888", "parameters": {"agent": "chef"}},
    )
    assert failed(result) == [] and result.ended == "caller"
    assert [step.heard.strip() for step in result.steps] == ["Hello!", "You said Hi", "You said 7"]
    setup, prompt, dtmf = relay.frames
    assert (setup["from"], setup["to"]) == ("+1415", "+1888")
    assert setup["customParameters"] == {"model": "fast", "agent": "chef"}
    assert (prompt["voicePrompt"], prompt["lang"], dtmf["digit"]) == ("Hi", "en-US", "7")
    (form,) = relay.forms
    assert (form["path"], form["From"], form["CallSid"]) == ("/phone/incoming", "+1415", setup["callSid"])
    assert relay.query == "key=1"


async def test_an_interruption_says_what_was_heard_and_measures_the_silence(tmp_path: Path) -> None:
    talking: list[asyncio.Task[None]] = []

    async def talk(send: Send) -> None:
        for number in range(100):
            await send({"type": "text", "token": f"{number} ", "last": False})
            await asyncio.sleep(0.01)

    async def answer(send: Send, frame: Json) -> None:
        if frame["type"] == "prompt":
            talking.append(asyncio.create_task(talk(send)))
        elif frame["type"] == "interrupt":
            await asyncio.sleep(0.05)  # stops too late
            talking[-1].cancel()

    relay = SmallRelay(answer)
    step = {"say": "Count.", "interrupt_after": 3, "expect": {"silence_within": 0.02}}
    (result,) = await played(tmp_path, relay, step)
    (frame,) = (each for each in relay.frames if each["type"] == "interrupt")
    assert frame["utteranceUntilInterrupt"] == "0 1 2" == result.steps[0].heard
    silence = result.steps[0].silence
    assert silence is not None and 0.02 < silence < 1
    assert [key for key, _ in failed(result)] == ["calls[0].steps[0].expect.silence_within"]


async def test_the_voice_speaks_at_its_pace(tmp_path: Path) -> None:
    """The answer is there at once; the caller lets the greeting end, and interrupts after the answer's second word."""
    relay = SmallRelay(echo, greeting="Hi! It is me.")
    (result,) = await played(tmp_path, relay, {"say": "one two three four", "interrupt_after": 2}, pace=100)
    assert failed(result) == [] and result.seconds < 4  # the greeting is not waited for until the timeout
    (frame,) = (each for each in relay.frames if each["type"] == "interrupt")
    assert frame["utteranceUntilInterrupt"] == "You said"
    assert 80 <= frame["durationUntilInterruptMs"] < 1000


async def test_a_transfer_goes_where_the_action_url_says(tmp_path: Path) -> None:
    async def answer(send: Send, frame: Json) -> None:
        if frame["type"] == "prompt":
            await send({"type": "text", "token": "Connecting you now.", "last": True})
            await send({"type": "end", "handoffData": '{"destination": "+1666"}'})

    relay = SmallRelay(answer, action=TRANSFER)
    step = {"say": "A human.", "expect": {"transfer": "+1 415 555 0199", "contains": "Connecting"}}
    (result,) = await played(tmp_path, relay, step)
    assert failed(result) == [] and (result.ended, result.destination) == ("transfer", "+14155550199")
    assert relay.forms[-1]["HandoffData"] == '{"destination": "+1666"}'


async def test_a_hang_up_that_nobody_expected_ends_the_call(tmp_path: Path) -> None:
    async def answer(send: Send, frame: Json) -> None:
        if frame["type"] == "prompt":
            await send({"type": "end"})

    (result,) = await played(tmp_path, SmallRelay(answer), {"say": "Hi"}, {"say": "Are you there?"})
    assert failed(result) == [("calls[0].steps[0]", "the agent ended the call")]
    assert len(result.steps) == 1 and result.ended == "agent"


async def test_an_agent_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    async def answer(send: Send, frame: Json) -> None:
        pass

    (result,) = await played(tmp_path, SmallRelay(answer), {"say": "Hi"}, timeout=0.2)
    assert failed(result) == [("calls[0].steps[0]", "the agent said nothing within 0.2 s")]


async def test_a_silent_caller_hears_what_the_agent_says_by_itself(tmp_path: Path) -> None:
    async def answer(send: Send, frame: Json) -> None:
        await send({"type": "text", "token": "Still there?", "last": True})

    (result,) = await played(tmp_path, SmallRelay(answer), {"wait": 0.2, "expect": {"contains": "still"}}, timeout=0.1)
    assert failed(result) == []


async def test_what_the_agent_says_one_after_the_other_is_kept_apart(tmp_path: Path) -> None:
    async def answer(send: Send, frame: Json) -> None:
        if frame["type"] == "prompt":
            for token in ("Book", "ed.", "", "Anything", " else?"):
                await send({"type": "text", "token": token, "last": token in ("", " else?")})

    (result,) = await played(tmp_path, SmallRelay(answer), {"say": "Hi"}, pace=50)
    assert result.steps[0].heard == "Booked. Anything else?"


async def test_what_the_server_does_wrong_is_told_at_the_step(tmp_path: Path) -> None:
    async def answer(send: Send, frame: Json) -> None:
        if frame["type"] == "prompt":
            await send(frame["voicePrompt"])

    for said, message in (
        ("{", "The server sent a frame that is not JSON"),
        ('{"type": "txt"}', "The server sent a frame of the unknown type 'txt'."),
        ("close", "The server closed the line: told so"),
    ):
        (result,) = await played(tmp_path, SmallRelay(answer), {"say": said, "expect": {"contains": "x"}})
        ((key, words),) = failed(result)
        assert key == "calls[0].steps[0]" and words.startswith(message) and result.ended == "error"
    (result,) = await played(tmp_path, SmallRelay(answer, incoming="<Response/>"), {"say": "x"})
    assert failed(result) == [
        ("calls[0]", "The answer to /phone/incoming is not TwiML of a relay: it has no <Connect><ConversationRelay>.")
    ]


async def test_an_absent_server_is_told(tmp_path: Path) -> None:
    file = tmp_path / "script.yaml"
    file.write_text("calls: [{name: One, steps: [{say: Hi}]}]")
    async with Carrier("http://127.0.0.1:9", "secret") as carrier:
        (result,) = await rehearse(load_script(file), carrier, 1, lambda _: None)
    assert failed(result) == [("calls[0]", "The server cannot be reached.")]


async def test_several_callers_play_all_calls(tmp_path: Path) -> None:
    results = await played(tmp_path, SmallRelay(echo), {"say": "Hi"}, callers=3)
    assert [each.caller for each in results] == [1, 2, 3] and len({each.call_id for each in results}) == 3
    assert all(each.ok for each in results)


async def test_the_json_has_everything(tmp_path: Path) -> None:
    steps = {"say": "Hi", "expect": {"contains": "bye"}}, {"wait": 0.01}
    results = await played(tmp_path, SmallRelay(echo), *steps)
    whole = orjson.loads(as_json("script.yaml", "http://h", results))
    assert whole["ok"] is False and whole["latency_ms"]["first_word"]["count"] == 1
    (call,) = whole["calls"]
    first, second = call["steps"]
    assert first["say"] == "Hi" and first["heard"] == "You said Hi " and first["first_word_ms"] > 0
    (failure,) = first["failures"]
    assert (failure["key"], failure["line"]) == ("calls[0].steps[0].expect.contains", 5)
    assert second["wait"] == 0.01 and (call["ended_by"], call["transferred_to"]) == ("caller", None)
