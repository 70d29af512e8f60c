"""All scenarios, in the order in which they are shown."""

from __future__ import annotations

from tests.exam.scenarios.answers import ANSWERS
from tests.exam.scenarios.breakers import BREAKERS
from tests.exam.scenarios.cuts import CUTS
from tests.exam.scenarios.hang_ups import HANG_UPS
from tests.exam.scenarios.last_resort import LAST_RESORT
from tests.exam.scenarios.refusals import REFUSALS
from tests.exam.scenarios.silence import SILENCE
from tests.exam.scenarios.tools import TOOLS

SCENARIOS = (*SILENCE, *CUTS, *ANSWERS, *REFUSALS, *TOOLS, *HANG_UPS, *BREAKERS, *LAST_RESORT)
