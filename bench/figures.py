"""The figures of the benchmark, computed from the results of all rounds."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from bench.load import LoadResult
from bench.quantiles import quantile

SATURATED = 0.9
"""CPU utilization of the load's cores above which the load, not the server, limits the result."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value over all rounds, and the value of each round. `limited`: the load was the bottleneck, not the server."""

    value: float
    rounds: tuple[float, ...]
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table, with a measurement per server. `more_is_better` is None where neither is."""

    name: str
    unit: str
    more_is_better: bool | None
    values: dict[str, Measurement]

    @classmethod
    def of_values(
        cls,
        name: str,
        unit: str,
        more_is_better: bool | None,
        values: Mapping[str, Sequence[float]],
        limited: Sequence[str] = (),
    ) -> Figure:
        """Build a figure from plain values by server; `limited` names the servers whose value the load limited."""
        measurements = {
            server: Measurement(statistics.median(each), tuple(each), server in limited)
            for server, each in values.items()
            if each
        }
        return cls(name, unit, more_is_better, measurements)


@dataclass(slots=True)
class RoundResults:
    """Results by load and server, one per round."""

    by_load: dict[str, dict[str, list[LoadResult]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, load: str, server: str, result: LoadResult) -> None:
        self.by_load[load][server].append(result)

    def broken(self, server: str) -> list[str]:
        """The errors of all broken answers of the server."""
        return [
            each for servers in self.by_load.values() for result in servers.get(server, ()) for each in result.broken
        ]

    def turns(self, server: str) -> int:
        """Number of whole turns of the server."""
        return sum(len(result.turns) for servers in self.by_load.values() for result in servers.get(server, ()))

    def figures(self) -> Iterator[Figure]:
        """Compute all figures. Latencies of a server are the difference from the provider's own."""
        for load, title in _RATES.items():
            rates = {server: throughput(rounds) for server, rounds in self.by_load[load].items()}
            yield Figure(title, "turns/s", True, rates)
        for load, title in _CPU.items():
            yield Figure(title, "ms", False, self._cpu(load))
        yield Figure("text chunks in a streamed turn, unpaced", "", None, self._chunks())
        for load, title in {"alone": "1 caller", "crowd": "32 callers"}.items():
            for name, share in _QUANTILES.items():
                added = self._added(load, "first_tokens", share)
                yield Figure(f"first token added, {title}, {name}", "ms", False, added)
        for name in ("p95", "p99"):
            added = self._added("crowd", "gaps", _QUANTILES[name])
            yield Figure(f"gap between tokens added, 32 callers, {name}", "ms", False, added)

    def first_tokens(self) -> dict[str, dict[str, list[float]]]:
        """All times to first token by load and server, in ms, sorted."""
        return {
            load: {
                server: sorted(round(seconds * 1000, 3) for result in rounds for seconds in result.first_tokens)
                for server, rounds in self.by_load[load].items()
            }
            for load in ("alone", "crowd")
        }

    def _cpu(self, load: str) -> dict[str, Measurement]:
        times = {
            server: [result.cpu_per_turn * 1000 for result in rounds if result.cpu_per_turn]
            for server, rounds in self.by_load[load].items()
        }
        return {server: Measurement(statistics.median(each), tuple(each)) for server, each in times.items() if each}

    def _chunks(self) -> dict[str, Measurement]:
        counts = {
            server: [statistics.median(turn.chunks for turn in result.turns) for result in rounds if result.turns]
            for server, rounds in self.by_load["streamed"].items()
        }
        return {server: Measurement(statistics.median(each), tuple(each)) for server, each in counts.items() if each}

    def _added(self, load: str, attribute: str, share: float) -> dict[str, Measurement]:
        """A quantile over the samples of all rounds minus the provider's; for the provider the quantile itself."""
        samples = attrgetter(attribute)
        rounds = self.by_load[load]
        if not any(result.turns for result in rounds["provider"]):
            return {}

        def pooled(server: str) -> float:
            return quantile([sample for result in rounds[server] for sample in samples(result)], share)

        base = [quantile(samples(result), share) for result in rounds["provider"]]
        pooled_base = pooled("provider")
        added = {"provider": Measurement(pooled_base * 1000, tuple(each * 1000 for each in base))}
        for server in (each for each in rounds if each != "provider" and any(result.turns for result in rounds[each])):
            single = tuple(
                (quantile(samples(result), share) - provider) * 1000
                for result, provider in zip(rounds[server], base, strict=True)
                if result.turns
            )
            added[server] = Measurement((pooled(server) - pooled_base) * 1000, single, is_limited(rounds[server]))
        return added


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


def throughput(rounds: Sequence[LoadResult]) -> Measurement:
    """Turns per second: the median of the rounds."""
    rates = [result.rate for result in rounds]
    return Measurement(statistics.median(rates), tuple(rates), is_limited(rounds))


def is_limited(rounds: Sequence[LoadResult]) -> bool:
    """Whether the provider and the load generator saturated their cores."""
    return statistics.median(result.load_utilization for result in rounds) > SATURATED
