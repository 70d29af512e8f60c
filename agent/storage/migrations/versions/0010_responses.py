"""Stored responses: the input and output of each, and the response before it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "responses",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("previous_id", sa.Text),
        sa.Column("first_id", sa.Text, nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True)),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
    )
    op.create_index("responses_of_chain", "responses", ["first_id", "expires"])
    op.create_index("responses_expires", "responses", ["expires"])
