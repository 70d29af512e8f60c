"""A soak of a few seconds with one server: the callers, the accounts and the checks work against the real thing."""

from __future__ import annotations

from bench.soak.run import Soak
from bench.soak.stack import Layout
from bench.soak.traffic import Pace


async def test_a_few_seconds_of_all_callers_lose_and_leave_nothing() -> None:
    soak = Soak(2, callers=10, layout=Layout.one_server(), pace=Pace(first=0.02, gap=0.01))
    result = await soak.run(progress=lambda _: None)
    assert result.failures() == [], result.details()
    assert min(result.ledger.count(each) for each in ("whole", "hung up")) > 0  # type: ignore[arg-type]
    assert result.audit.threads > 0 and result.audit.tool_calls > 0
