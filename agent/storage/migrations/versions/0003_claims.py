"""The number of claims of a session, which fences its thread."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("claims", sa.Integer, nullable=False, server_default="0"))
