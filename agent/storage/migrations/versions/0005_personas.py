"""Personas, their conversations and messages."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "personas",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(256), unique=True),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("first_message", sa.Text, nullable=False),
        sa.Column("response_shape", sa.Text, nullable=False),
        sa.Column("instructions", sa.Text, nullable=False),
        sa.Column("model", sa.String(256)),
        sa.Column("temperature", sa.Float),
        sa.Column("max_tokens", sa.Integer),
        sa.Column("frequency_penalty", sa.Float),
        sa.Column("presence_penalty", sa.Float),
        sa.Column("tools", sa.Text),
        sa.Column("max_turns", sa.Integer),
    )
    op.create_table(
        "persona_conversations",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("agent_id", sa.String(36), sa.ForeignKey("personas.id"), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("persona_conversations_agent_id", "persona_conversations", ["agent_id"])
    op.create_table(
        "persona_messages",
        sa.Column(
            "conversation_id",
            sa.String(36),
            sa.ForeignKey("persona_conversations.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_message", sa.Text, nullable=False),
        sa.Column("agent_message", sa.Text, nullable=False),
    )
    op.add_column("sessions", sa.Column("agent_id", sa.Text))
