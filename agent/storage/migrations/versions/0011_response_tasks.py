"""Tasks of two kinds: turns on sessions, and responses in the background, which keep what their turn has produced."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    # Rows of earlier versions are turns on sessions.
    op.add_column("tasks", sa.Column("kind", sa.String(16), nullable=False, server_default="session"))
    op.add_column("tasks", sa.Column("produced", sa.Text))
