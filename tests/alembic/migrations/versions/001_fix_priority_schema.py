"""The schema of the first deployment: role is an enum, tool turns have no names.

On an empty database this builds what fixtures/messages/production.sql holds, without its rows.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "001_fix_priority_schema"
down_revision = None

message_role = postgresql.ENUM(
    "user", "assistant", "system", "tool", name="message_role", create_type=False
)


def upgrade() -> None:
    message_role.create(op.get_bind())
    op.create_table(
        "conversations",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("title", sa.String(200)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "conversation_id",
            sa.BigInteger,
            sa.ForeignKey(
                "conversations.id", name="messages_conversation_id_fkey", ondelete="CASCADE"
            ),
            nullable=False,
        ),
        sa.Column("role", message_role, nullable=False, server_default="user"),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        comment="One turn of a conversation",
    )
    op.create_index(
        "messages_conversation_idx", "messages", ["conversation_id", sa.text("created_at DESC")]
    )
    op.create_index(
        "messages_user_idx",
        "messages",
        ["conversation_id"],
        postgresql_where=sa.text("role = 'user'"),
    )


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_table("conversations")
    message_role.drop(op.get_bind())
