"""The figures that are made of the loads of all rounds."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.load import Heard
from bench.quantiles import quantile

BUSY = 0.9
"""Of their cores: where the provider and the load took more, the server may be able to do more than was measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The value over all rounds, and those of the single rounds. `limited`: the load was busy, not the server."""

    value: float
    rounds: tuple[float, ...]
    limited: bool = False


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
        """Every figure that the rounds allow. Times of the servers are what they add to the provider's own."""
        for load, title in _RATES.items():
            yield Figure(title, "turns/s", True, {name: rate(rounds) for name, rounds in self.heard[load].items()})
        for load, title in _CPU.items():
            yield Figure(title, "ms", False, self._cpu(load))
        yield Figure("text chunks in a streamed turn, unpaced", "", None, self._chunks())
        for load, title in {"alone": "1 caller", "crowd": "32 callers"}.items():
            for name, share in _QUANTILES.items():
                yield Figure(f"first token added, {title}, {name}", "ms", False, self._added(load, firsts, share))
        for name in ("p95", "p99"):
            added = self._added("crowd", _gaps, _QUANTILES[name])
            yield Figure(f"gap between tokens added, 32 callers, {name}", "ms", False, added)

    def first_tokens(self) -> dict[str, dict[str, list[float]]]:
        """Every time to the first token, in ms from the shortest to the longest, by load and server."""
        return {
            load: {
                name: sorted(round(first * 1000, 3) for heard in rounds for first in firsts(heard))
                for name, rounds in self.heard[load].items()
            }
            for load in ("alone", "crowd")
        }

    def _cpu(self, load: str) -> dict[str, Measured]:
        times = {
            name: [heard.cpu_per_turn * 1000 for heard in rounds if heard.cpu_per_turn]
            for name, rounds in self.heard[load].items()
        }
        return {name: Measured(statistics.median(v), tuple(v)) for name, v in times.items() if v}

    def _chunks(self) -> dict[str, Measured]:
        counted = {
            name: [statistics.median(turn.chunks for turn in heard.turns) for heard in rounds if heard.turns]
            for name, rounds in self.heard["streamed"].items()
        }
        return {name: Measured(statistics.median(v), tuple(v)) for name, v in counted.items() if v}

    def _added(self, load: str, samples: Callable[[Heard], list[float]], share: float) -> dict[str, Measured]:
        """A quantile over the samples of all rounds, less the provider's; for the provider itself the plain value."""
        rounds = self.heard[load]
        if not any(heard.turns for heard in rounds["provider"]):
            return {}
        own = [quantile(samples(heard), share) for heard in rounds["provider"]]
        pooled = quantile([sample for heard in rounds["provider"] for sample in samples(heard)], share)
        values = {"provider": Measured(pooled * 1000, tuple(each * 1000 for each in own))}
        for name in (each for each in rounds if each != "provider" and any(heard.turns for heard in rounds[each])):
            single = tuple(
                (quantile(samples(heard), share) - base) * 1000
                for heard, base in zip(rounds[name], own, strict=True)
                if heard.turns
            )
            value = quantile([sample for heard in rounds[name] for sample in samples(heard)], share) - pooled
            values[name] = Measured(value * 1000, single, is_limited(rounds[name]))
        return values


_RATES = {
    "streamed": "streamed turns, unpaced, 8 callers",
    "spaced": "streamed turns, chunks 1 ms apart, 32 callers",
    "whole": "non-stream turns, 16 callers",
}
_CPU = {
    "streamed": "CPU time of a streamed turn, unpaced",
    "spaced": "CPU time of a streamed turn, chunks 1 ms apart",
    "whole": "CPU time of a non-stream turn",
}
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def once(
    name: str,
    unit: str,
    more_is_better: bool | None,
    values: Mapping[str, Sequence[float]],
    limited: Sequence[str] = (),
) -> Figure:
    """A figure from plain values; `limited` names the servers at which the load was busy."""
    measured = {
        key: Measured(statistics.median(each), tuple(each), key in limited) for key, each in values.items() if each
    }
    return Figure(name, unit, more_is_better, measured)


def rate(rounds: Sequence[Heard]) -> Measured:
    """Turns a second: the median of the rounds."""
    rates = [heard.rate for heard in rounds]
    return Measured(statistics.median(rates), tuple(rates), is_limited(rounds))


def is_limited(rounds: Sequence[Heard]) -> bool:
    """Whether the provider and the load had no time left on their cores."""
    return statistics.median(heard.busy for heard in rounds) > BUSY


def firsts(heard: Heard) -> list[float]:
    """The times to the first token, in seconds."""
    return [turn.first for turn in heard.turns]


def _gaps(heard: Heard) -> list[float]:
    return [gap for turn in heard.turns for gap in turn.gaps]
