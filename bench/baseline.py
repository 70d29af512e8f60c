"""What a turn cost when somebody last agreed to it, and whether it costs more now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.processes import BenchFailed
from bench.scenarios import Costs, Meter

FILE = Path(__file__).with_name("baseline.json")
TOLERANCES: Mapping[Meter, float] = {"instructions": 0.03, "time": 0.20}
"""By how much a ratio may exceed the baseline; docs/bench.md tells from which noise they were chosen."""


class NoBaseline(BenchFailed):
    """There is nothing to compare with, or it is not about the same scenarios; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The ratio of each scenario, by meter, and where they were measured."""

    ratios: Mapping[Meter, Mapping[str, float]]
    cpu: str
    python: str

    @classmethod
    def load(cls, file: Path = FILE) -> Baseline:
        """Raises NoBaseline."""
        try:
            return cls(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError) as exc:
            raise NoBaseline(f"{file.name} cannot be read ({exc}). Write it: make bench-check UPDATE=1") from exc

    def save(self, file: Path = FILE) -> None:
        """Write it, for whoever compares next."""
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def agreed(self, meter: Meter, scenario: str) -> float:
        """The ratio to compare with. Raises NoBaseline."""
        try:
            return self.ratios[meter][scenario]
        except KeyError:
            missing = f"{FILE.name} has no {meter} of {scenario!r}"
            raise NoBaseline(f"{missing}. Write it: make bench-check UPDATE=1") from None


@dataclass(frozen=True, slots=True)
class Compared:
    """One scenario: the cost of a turn against the floor's, round by round, and the ratio agreed to, if any."""

    name: str
    meter: Meter
    costs: Costs
    agreed: float | None = None

    @property
    def rounds(self) -> list[float]:
        """The ratio of each round: what slows a round down slows both sides of it."""
        return [ours / floor for ours, floor in zip(*self.costs, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.rounds)

    @property
    def change(self) -> float:
        """How much more a turn costs than agreed: 0.05 is five in a hundred more."""
        return self.ratio / self.agreed - 1 if self.agreed else 0.0

    @property
    def is_worse(self) -> bool:
        return self.change > TOLERANCES[self.meter]

    @property
    def is_better(self) -> bool:
        return self.change < -TOLERANCES[self.meter]

    def verdict(self) -> str:
        """The change in words."""
        if self.agreed is None:
            return "new"
        if self.is_worse:
            return f"{self.change:+.1%}: WORSE, {TOLERANCES[self.meter]:.0%} is allowed"
        return f"{self.change:+.1%}" + (": better, keep it with UPDATE=1" if self.is_better else "")
