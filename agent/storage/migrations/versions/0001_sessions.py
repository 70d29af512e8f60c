"""Sessions and their leases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    sessions = op.create_table(
        "sessions",
        sa.Column("thread_id", sa.String(32), primary_key=True),
        sa.Column("user_id", sa.String(256), nullable=False),
        sa.Column("session_id", sa.String(256), nullable=False),
        sa.Column("gone", sa.Boolean, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("last_query", sa.Text),
        sa.Column("last_response", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("system_message", sa.Text),
        sa.Column("interrupts", sa.Text, nullable=False),
        sa.Column("summary", sa.Text),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("turn_id", sa.String(256)),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("stop_asked", sa.Boolean, nullable=False),
    )
    present = ~sessions.c.gone
    op.create_index(
        "sessions_present",
        "sessions",
        ["user_id", "session_id"],
        unique=True,
        sqlite_where=present,
        postgresql_where=present,
    )
    op.create_index("sessions_updated", "sessions", ["user_id", "updated"])
    op.create_index("sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("sessions_turn_id", "sessions", ["turn_id"], unique=True)
