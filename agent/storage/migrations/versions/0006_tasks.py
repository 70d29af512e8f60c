"""Background tasks and their events."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    tasks = op.create_table(
        "tasks",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("task_id", sa.String(32), nullable=False, unique=True),
        sa.Column("user_id", sa.String(256), nullable=False),
        sa.Column("session_id", sa.String(256), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("cancel_asked", sa.Boolean, nullable=False),
        sa.Column("sent", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True)),
        sa.Column("finished", sa.DateTime(timezone=True)),
        sa.Column("claim_id", sa.String(32)),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "task_events",
        sa.Column("task_id", sa.String(32), primary_key=True),
        sa.Column("last", sa.Integer, primary_key=True),
        sa.Column("lines", sa.Text, nullable=False),
    )
    unfinished = tasks.c.finished.is_(None)
    op.create_index("tasks_of_user", "tasks", ["user_id", "number"])
    op.create_index("tasks_finished", "tasks", ["finished"])
    op.create_index("tasks_claim_id", "tasks", ["claim_id"], unique=True)
    for name, columns in (("tasks_unfinished", ["user_id", "session_id", "number"]), ("tasks_sent", ["sent"])):
        op.create_index(name, "tasks", columns, sqlite_where=unfinished, postgresql_where=unfinished)
