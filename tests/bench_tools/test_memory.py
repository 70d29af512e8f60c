from bench.load import Target
from bench.memory import MemoryCurve, measure_memory


class Server:
    """A real provider with scripted memory samples."""

    def __init__(self, port, samples, model="fake-ok"):
        self.target = Target("provider", "127.0.0.1", port, "any", {"fake-ok": model})
        self.process = self
        self._samples = iter(samples)

    def memory(self):
        return next(self._samples)


async def test_the_memory_is_sampled_before_the_first_turn_and_after_every_interval(provider):
    curve = await measure_memory(
        Server(provider.port, [200.0, 210.0, 211.0, 212.0]), turns=48, interval=20, seconds=60
    )  # 8 callers cannot make 20
    assert curve.samples == [(0, 200.0), (16, 210.0), (32, 211.0), (48, 212.0)]
    assert (curve.turns, curve.broken) == (48, [])
    assert len(provider.log) == 48


async def test_sampling_ends_when_the_time_is_up(provider):
    curve = await measure_memory(Server(provider.port, [200.0, 210.0]), turns=48, interval=16, seconds=0)
    assert curve.samples == [(0, 200.0)]


async def test_broken_answers_are_counted_as_turns_and_kept(provider):
    curve = await measure_memory(Server(provider.port, [200.0, 210.0], "fake-503"), turns=16, interval=16, seconds=60)
    assert (curve.turns, len(curve.broken)) == (16, 16)


def test_growth_leaves_the_first_quarter_out():
    flat = MemoryCurve([(turns, 100.0 if turns < 3 else 200.0) for turns in range(12)], [])
    leaking = MemoryCurve([(turns, 100.0 + turns) for turns in range(12)], [])
    assert (flat.growth, leaking.growth) == (0.0, 6.0)
