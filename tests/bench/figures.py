"""What is measured: the loads, and the figures that are made of them."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.load import Heard, Load

UNPACED = "fake-ok"
SPACED = "fake-ok?gap=1ms"
SHORT = "fake-ok?first=100ms&gap=5ms&tokens=8"
PACED = "fake-ok?first=200ms&gap=20ms&tokens=64"
MODELS = (UNPACED, SPACED, SHORT, PACED)
_PACED_TURN = 0.2 + 63 * 0.02
GAP_LIMIT = 0.06
"""Seconds: the p99 of the gaps between the tokens of a stream that counts as held."""
STEPS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def loads(seconds: float, turns: int) -> dict[str, Load]:
    """The loads of one round, by name. `seconds` for those that look for the rate, `turns` for those that time each."""
    return {
        "streamed": Load(UNPACED, callers=8, seconds=seconds),
        "spaced": Load(SPACED, callers=32, seconds=seconds),
        "whole": Load(UNPACED, callers=16, stream=False, seconds=seconds),
        "alone": Load(SHORT, callers=1, turns=turns * 10),
        "crowd": Load(PACED, callers=32, turns=turns, spread=_PACED_TURN),
    }


def held(callers: int) -> Load:
    """Paced streams, to see whether a server keeps up with that many."""
    return Load(PACED, callers=callers, turns=2, spread=_PACED_TURN)


def keeps_up(heard: Heard) -> bool:
    """Whether nothing was lost and the gaps between tokens stayed small."""
    return not heard.broken and quantile([gap for turn in heard.turns for gap in turn.gaps], 0.99) < GAP_LIMIT


@dataclass(frozen=True, slots=True)
class Measured:
    """The value over all rounds, and the lowest and highest of the single rounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: a unit, whether more is better (None: neither), and the value of each server."""

    name: str
    unit: str
    more_is_better: bool | None
    values: dict[str, Measured]


@dataclass(slots=True)
class Rounds:
    """What each server did under each load, round by round."""

    heard: dict[str, dict[str, list[Heard]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def add(self, load: str, server: str, heard: Heard) -> None:
        self.heard[load][server].append(heard)

    def broken(self, server: str) -> list[str]:
        """Every answer of that server that was not whole."""
        return [each for load in self.heard.values() for heard in load.get(server, ()) for each in heard.broken]

    def turns(self, server: str) -> int:
        """How many whole turns that server gave."""
        return sum(len(heard.turns) for load in self.heard.values() for heard in load.get(server, ()))

    def figures(self) -> Iterator[Figure]:
        """Every figure that the rounds allow. Times of the servers are what they add to the vendor's own."""
        for load, title in _RATES.items():
            yield Figure(title, "turns/s", True, {name: _rate(rounds) for name, rounds in self.heard[load].items()})
        yield Figure("text chunks in a streamed turn, unpaced", "", None, self._chunks())
        for load, title in {"alone": "1 caller", "crowd": "32 callers"}.items():
            for name, share in _QUANTILES.items():
                yield Figure(f"first token added, {title}, {name}", "ms", False, self._added(load, _firsts, share))
        for name in ("p95", "p99"):
            added = self._added("crowd", _gaps, _QUANTILES[name])
            yield Figure(f"gap between tokens added, 32 callers, {name}", "ms", False, added)

    def _chunks(self) -> dict[str, Measured]:
        counted = {
            name: [statistics.median(turn.chunks for turn in heard.turns) for heard in rounds if heard.turns]
            for name, rounds in self.heard["streamed"].items()
        }
        return {name: Measured(statistics.median(v), min(v), max(v)) for name, v in counted.items() if v}

    def _added(self, load: str, samples: Callable[[Heard], list[float]], share: float) -> dict[str, Measured]:
        """A quantile over the samples of all rounds, less the vendor's; for the vendor itself the plain value."""
        rounds = self.heard[load]
        if not any(heard.turns for heard in rounds["vendor"]):
            return {}
        own = [quantile(samples(heard), share) for heard in rounds["vendor"]]
        pooled = quantile([sample for heard in rounds["vendor"] for sample in samples(heard)], share)
        values = {"vendor": Measured(pooled * 1000, min(own) * 1000, max(own) * 1000)}
        for name in (each for each in rounds if each != "vendor" and any(heard.turns for heard in rounds[each])):
            single = [
                quantile(samples(heard), share) - base
                for heard, base in zip(rounds[name], own, strict=True)
                if heard.turns
            ]
            value = quantile([sample for heard in rounds[name] for sample in samples(heard)], share) - pooled
            values[name] = Measured(value * 1000, min(single) * 1000, max(single) * 1000)
        return values


_RATES = {
    "streamed": "streamed turns, unpaced, 8 callers",
    "spaced": "streamed turns, chunks 1 ms apart, 32 callers",
    "whole": "non-stream turns, 16 callers",
}
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def quantile(samples: Iterable[float], share: float) -> float:
    """The smallest sample that at least `share` of the samples do not exceed; infinite when there are none."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf


def once(name: str, unit: str, more_is_better: bool, values: Mapping[str, Sequence[float]]) -> Figure:
    """A figure from plain values."""
    measured = {key: Measured(statistics.median(each), min(each), max(each)) for key, each in values.items() if each}
    return Figure(name, unit, more_is_better, measured)


def _rate(rounds: Sequence[Heard]) -> Measured:
    rates = [heard.rate for heard in rounds]
    return Measured(statistics.median(rates), min(rates), max(rates))


def _firsts(heard: Heard) -> list[float]:
    return [turn.first for turn in heard.turns]


def _gaps(heard: Heard) -> list[float]:
    return [gap for turn in heard.turns for gap in turn.gaps]
