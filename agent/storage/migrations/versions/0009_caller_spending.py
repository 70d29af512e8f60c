"""What callers have spent, by month."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "caller_spending",
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("caller", sa.String(32), primary_key=True),
        sa.Column("process", sa.String(32), primary_key=True),
        sa.Column("spent", sa.BigInteger, nullable=False),
    )
