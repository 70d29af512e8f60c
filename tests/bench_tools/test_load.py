import pytest

from bench.load import Load, Target
from bench.loads import is_sustained


async def load(provider, model, **more):
    target = Target("provider", "127.0.0.1", provider.port, "any", {model: model})
    return await Load(model, **{"callers": 3, "turns": 2, **more}).run(target)


async def test_every_turn_of_every_caller_is_counted(provider):
    result = await load(provider, "fake-ok")
    assert (len(result.turns), result.broken) == (6, [])
    assert {turn.chunks for turn in result.turns} == {32}
    assert result.rate > 0
    assert len(provider.log) == 6


async def test_answers_that_are_not_streamed_are_counted_too(provider):
    assert len((await load(provider, "fake-ok?tokens=64", stream=False)).turns) == 6


async def test_a_load_for_a_time_ends(provider):
    result = await load(provider, "fake-ok", seconds=0.05)
    assert result.turns
    assert not result.broken


async def test_paced_tokens_come_apart(provider):
    (turn,) = (await load(provider, "fake-ok?first=20ms&gap=10ms&tokens=4", callers=1, turns=1)).turns
    assert turn.first_token >= 0.0199
    assert turn.end - turn.start >= 0.0499
    assert len(turn.gaps) == 3
    assert sum(turn.gaps) <= turn.end - turn.start - turn.first_token


@pytest.mark.parametrize(
    "model", ["fake-503", "fake-cut", "fake-reset", "fake-malformed", "fake-inband-error", "fake-html"]
)
async def test_broken_answers_are_recorded_and_not_counted(provider, model):
    result = await load(provider, model)
    assert (len(result.turns), len(result.broken)) == (0, 6)
    assert result.rate == 0
    assert not is_sustained(result)


async def test_a_refused_connection_is_recorded(provider):
    port = provider.port
    await provider.__aexit__()
    result = await Load("fake-ok", callers=1, turns=1).run(
        Target("gone", "127.0.0.1", port, "any", {"fake-ok": "fake-ok"})
    )
    assert "no connection" in result.broken[0]
