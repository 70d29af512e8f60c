"""The tables of the statistics. The migration `0004_statistics` creates them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

from agent.storage.columns import UtcTime

metadata = MetaData()

statistics = Table(
    "statistics",
    metadata,
    # Only its process writes a row, so that no servers wait for each other.
    Column("process", String(32), primary_key=True),
    Column("minute", Integer, primary_key=True, autoincrement=False),
    Column("seen", BigInteger, nullable=False),
    Column("running", Integer, nullable=False),
    Column("counts", Text, nullable=False),
    Index("statistics_minute", "minute"),
)
"""One row for each process and minute, and one with its total: minute 0. Both times count from 1970, `seen` in seconds.
"""

resets = Table(
    "statistics_resets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time", UtcTime, nullable=False),
    Column("caller", String(32)),
    Column("counts", Text, nullable=False),
)
"""One row for each reset, with the totals at that time. The migration writes the first one."""
