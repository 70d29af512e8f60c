"""Long-term memories."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "memories",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("embedding_model", sa.Text),
        sa.Column("embedding", sa.LargeBinary),
    )
    op.create_index("memories_of_user", "memories", ["user_id", "created"])
