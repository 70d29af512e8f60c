"""The callers that made personas and conversations."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("personas", sa.Column("owner", sa.String(32)))
    op.add_column("persona_conversations", sa.Column("owner", sa.String(32)))
