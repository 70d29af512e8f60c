from bench.load import Target
from bench.memory import Course, course


class Server:
    """A real provider, weighed by a scripted scale."""

    def __init__(self, port, scale, model="fake-ok"):
        self.target = Target("provider", "127.0.0.1", port, "any", {"fake-ok": model})
        self.process = self
        self._scale = iter(scale)

    def memory(self):
        return next(self._scale)


async def test_the_memory_is_weighed_before_the_first_turn_and_after_each_few(provider):
    found = await course(
        Server(provider.port, [200.0, 210.0, 211.0, 212.0]), turns=48, every=20, seconds=60
    )  # 8 callers cannot make 20
    assert found.samples == [(0, 200.0), (16, 210.0), (32, 211.0), (48, 212.0)]
    assert (found.turns, found.broken) == (48, [])
    assert len(provider.log) == 48


async def test_a_slow_server_is_weighed_for_as_long_as_there_is_time(provider):
    found = await course(Server(provider.port, [200.0, 210.0]), turns=48, every=16, seconds=0)
    assert found.samples == [(0, 200.0)]


async def test_broken_answers_are_counted_as_turns_and_kept(provider):
    found = await course(Server(provider.port, [200.0, 210.0], "fake-503"), turns=16, every=16, seconds=60)
    assert (found.turns, len(found.broken)) == (16, 16)


def test_growth_leaves_the_first_quarter_out():
    flat = Course([(turns, 100.0 if turns < 3 else 200.0) for turns in range(12)], [])
    leaking = Course([(turns, 100.0 + turns) for turns in range(12)], [])
    assert (flat.grown, leaking.grown) == (0.0, 6.0)
