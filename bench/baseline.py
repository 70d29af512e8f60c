"""The accepted cost of a turn, and the comparison of a measured cost with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.cost_scenarios import Costs, Meter
from bench.processes import BenchError

FILE = Path(__file__).with_name("baseline.json")
TOLERANCES: Mapping[Meter, float] = {"instructions": 0.03, "time": 0.20}
"""Allowed relative increase over the baseline; docs/bench.md has the noise that they allow for."""


class BaselineError(BenchError):
    """The baseline is missing, unreadable, or lacks a scenario."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The accepted cost ratios by meter and scenario, and the machine that they were measured on."""

    ratios: Mapping[Meter, Mapping[str, float]]
    cpu: str
    python: str

    @classmethod
    def load(cls, file: Path = FILE) -> Baseline:
        """Read the baseline. Raises BaselineError."""
        try:
            return cls(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError) as exc:
            raise BaselineError(f"cannot read {file.name} ({exc}); to write it: make bench-check UPDATE=1") from exc

    def save(self, file: Path = FILE) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def ratio(self, meter: Meter, scenario: str) -> float:
        """Return the accepted ratio. Raises BaselineError."""
        try:
            return self.ratios[meter][scenario]
        except KeyError:
            missing = f"{FILE.name} has no {meter} of {scenario!r}"
            raise BaselineError(f"{missing}; to write it: make bench-check UPDATE=1") from None


@dataclass(frozen=True, slots=True)
class CostComparison:
    """The cost of a turn as a multiple of the floor's, compared with the `accepted` multiple if there is one."""

    name: str
    meter: Meter
    costs: Costs
    accepted: float | None = None

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round. Switchboard and the floor share a round, so a slow machine affects both."""
        return [ours / floor for ours, floor in zip(*self.costs, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the rounds."""
        return median(self.ratios)

    @property
    def change(self) -> float:
        """Relative change from the accepted ratio: 0.05 is 5 % more."""
        return self.ratio / self.accepted - 1 if self.accepted else 0.0

    @property
    def is_regression(self) -> bool:
        return self.change > TOLERANCES[self.meter]

    @property
    def is_improvement(self) -> bool:
        return self.change < -TOLERANCES[self.meter]

    def verdict(self) -> str:
        """Describe the change."""
        if self.accepted is None:
            return "new"
        if self.is_regression:
            return f"{self.change:+.1%}: WORSE, {TOLERANCES[self.meter]:.0%} is allowed"
        return f"{self.change:+.1%}" + (": better, keep it with UPDATE=1" if self.is_improvement else "")
