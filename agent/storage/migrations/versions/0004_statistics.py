"""Statistics and their resets."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "statistics",
        sa.Column("process", sa.String(32), primary_key=True),
        sa.Column("minute", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("running", sa.Integer, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
    )
    op.create_index("statistics_minute", "statistics", ["minute"])
    resets = op.create_table(
        "statistics_resets",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("caller", sa.String(32)),
        sa.Column("counts", sa.Text, nullable=False),
    )
    # The beginning of the statistics, from which /stats counts until the first reset.
    op.bulk_insert(resets, [{"time": datetime.now(UTC), "caller": None, "counts": "{}"}])
