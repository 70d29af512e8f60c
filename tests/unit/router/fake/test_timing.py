import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.fake.timing import MAX_TOKENS, ResponseTiming, TokenTimer, duration, split_timing
from tests.support.virtual_clock import run_virtually


def test_a_name_without_a_question_mark_has_no_timing():
    assert split_timing("fake-ok:a") == ("fake-ok:a", ResponseTiming())


def test_all_three_settings_are_read_in_any_order():
    assert split_timing("fake-ok?tokens=64&gap=20ms&first=1.5s") == (
        "fake-ok",
        ResponseTiming(first=1.5, gap=0.02, tokens=64),
    )


@pytest.mark.parametrize(("text", "seconds"), [("200ms", 0.2), ("1.5s", 1.5), ("0", 0.0), ("0ms", 0.0), ("3s", 3.0)])
def test_durations_are_milliseconds_or_seconds(text, seconds):
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("name", "what_is_wrong"),
    [
        ("?first=1s", "is missing"),
        ("m?frist=1s", "'frist'"),
        ("m?first", "first has no value"),
        ("m?first=1s&first=2s", "first is given twice"),
        ("m?first=200", "'200' is not a duration"),
        ("m?gap=-1s", "'-1s' is not a duration"),
        ("m?gap=1e3s", "'1e3s' is not a duration"),
        ("m?gap=٣s", "is not a duration"),
        ("m?first=2000000s", "longer than an hour"),
        ("m?tokens=0", "tokens=0"),
        ("m?tokens=ten", "tokens=ten"),
        (f"m?tokens={MAX_TOKENS + 1}", "whole number"),
        ("m?gap=1s&", "unknown setting ''"),
    ],
)
def test_the_error_names_the_invalid_part_of_a_timing(name, what_is_wrong):
    with pytest.raises(ValueError, match=r"^'") as caught:
        split_timing(name)
    assert what_is_wrong in str(caught.value)
    assert repr(name) in str(caught.value)


@given(
    st.text(st.characters(exclude_characters="?"), min_size=1),
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.none() | st.integers(1, MAX_TOKENS),
)
def test_every_valid_timing_is_parsed(model, first, gap, tokens):
    query = f"first={first}ms&gap={gap}ms" + (f"&tokens={tokens}" if tokens else "")
    assert split_timing(f"{model}?{query}") == (
        model,
        ResponseTiming(first=first / 1000, gap=gap / 1000, tokens=tokens),
    )


@given(st.text())
def test_any_text_is_parsed_or_raises_value_error(text):
    try:
        model, timing = split_timing(text)
    except ValueError:
        return
    assert text.startswith(model)
    assert timing.first >= 0 <= timing.gap


def test_tokens_come_when_they_are_due():
    async def moments():
        timer, loop = TokenTimer(ResponseTiming(first=0.2, gap=0.02)), asyncio.get_running_loop()
        return [await _time_of(timer.wait_for_token(), loop) for _ in range(3)]

    assert run_virtually(moments()) == pytest.approx([0.2, 0.22, 0.24])


def test_a_late_token_does_not_delay_those_after_it():
    async def moments():
        timer, loop = TokenTimer(ResponseTiming(first=0.1, gap=0.1)), asyncio.get_running_loop()
        await asyncio.sleep(0.25)
        return [await _time_of(timer.wait_for_token(), loop) for _ in range(4)]

    assert run_virtually(moments()) == pytest.approx([0.25, 0.25, 0.3, 0.4])


def test_a_pause_delays_everything_after_it():
    async def moments():
        timer, loop = TokenTimer(ResponseTiming(first=0, gap=0.1)), asyncio.get_running_loop()
        first = await _time_of(timer.wait_for_token(), loop)
        await timer.pause(5)
        return [first, await _time_of(timer.wait_for_token(), loop), await _time_of(timer.wait_for_token(), loop)]

    assert run_virtually(moments()) == pytest.approx([0, 5.1, 5.2])


async def _time_of(beat, loop):
    await beat
    return loop.time()
