import pytest

from bench.load import Load, Target
from bench.loads import holds


async def load(provider, model, **more):
    target = Target("provider", "127.0.0.1", provider.port, "any", {model: model})
    return await Load(model, **{"callers": 3, "turns": 2, **more}).run(target)


async def test_every_turn_of_every_caller_is_heard(provider):
    heard = await load(provider, "fake-ok")
    assert (len(heard.turns), heard.broken) == (6, [])
    assert {turn.chunks for turn in heard.turns} == {32}
    assert heard.rate > 0
    assert len(provider.log) == 6


async def test_answers_that_are_not_streamed_are_heard_too(provider):
    assert len((await load(provider, "fake-ok?tokens=64", stream=False)).turns) == 6


async def test_a_load_for_a_time_ends(provider):
    heard = await load(provider, "fake-ok", seconds=0.05)
    assert heard.turns
    assert not heard.broken


async def test_paced_tokens_come_apart(provider):
    (turn,) = (await load(provider, "fake-ok?first=20ms&gap=10ms&tokens=4", callers=1, turns=1)).turns
    assert turn.first >= 0.0199
    assert turn.ended - turn.begun >= 0.0499
    assert len(turn.gaps) == 3
    assert sum(turn.gaps) <= turn.ended - turn.begun - turn.first


@pytest.mark.parametrize(
    "model", ["fake-503", "fake-cut", "fake-reset", "fake-malformed", "fake-inband-error", "fake-html"]
)
async def test_broken_answers_are_noted_and_never_counted(provider, model):
    heard = await load(provider, model)
    assert (len(heard.turns), len(heard.broken)) == (0, 6)
    assert heard.rate == 0
    assert not holds(heard)


async def test_a_server_that_is_not_there_is_noted(provider):
    port = provider.port
    await provider.__aexit__()
    heard = await Load("fake-ok", callers=1, turns=1).run(
        Target("gone", "127.0.0.1", port, "any", {"fake-ok": "fake-ok"})
    )
    assert "no connection" in heard.broken[0]
