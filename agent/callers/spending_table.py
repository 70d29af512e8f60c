"""The table of what callers have spent. The migration `0009_caller_spending` creates it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, MetaData, String, Table

metadata: Final = MetaData()

spending: Final = Table(
    "caller_spending",
    metadata,
    Column("month", String(7), primary_key=True),
    Column("caller", String(32), primary_key=True),
    # Only its process writes a row, so that no servers wait for each other, and a repeated write counts nothing twice.
    Column("process", String(32), primary_key=True),
    Column("spent", BigInteger, nullable=False),
)
"""`month` is like 2030-12, in UTC. `spent` is in billionths of a US dollar."""
