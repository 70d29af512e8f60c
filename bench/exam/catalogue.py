"""All scenarios, in the order of the report."""

from __future__ import annotations

from bench.exam.scenarios.answers import ANSWERS
from bench.exam.scenarios.breakers import BREAKERS
from bench.exam.scenarios.cuts import CUTS
from bench.exam.scenarios.hang_ups import HANG_UPS
from bench.exam.scenarios.last_resort import LAST_RESORT
from bench.exam.scenarios.refusals import REFUSALS
from bench.exam.scenarios.silence import SILENCE
from bench.exam.scenarios.tools import TOOLS

SCENARIOS = (*SILENCE, *CUTS, *ANSWERS, *REFUSALS, *TOOLS, *HANG_UPS, *BREAKERS, *LAST_RESORT)
