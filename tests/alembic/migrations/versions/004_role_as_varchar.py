"""The guide's repair: role becomes VARCHAR(20) with a CHECK, tool turns get their names."""

import sqlalchemy as sa
from alembic import op

revision = "004"
down_revision = "001_fix_priority_schema"


def upgrade() -> None:
    op.drop_index("messages_user_idx", "messages")
    op.execute("ALTER TABLE messages ALTER COLUMN role DROP DEFAULT")
    op.execute("ALTER TABLE messages ALTER COLUMN role TYPE varchar(20) USING role::text")
    op.execute("ALTER TABLE messages ALTER COLUMN role SET DEFAULT 'user'")
    op.create_check_constraint(
        "check_role_values", "messages", "role IN ('user', 'assistant', 'system', 'tool')"
    )
    op.create_index(
        "messages_user_idx",
        "messages",
        ["conversation_id"],
        postgresql_where=sa.text("role = 'user'"),
    )
    op.execute("DROP TYPE message_role")
    op.add_column("messages", sa.Column("tool_call_id", sa.String(100)))
    op.add_column("messages", sa.Column("name", sa.String(100)))


def downgrade() -> None:
    op.drop_column("messages", "name")
    op.drop_column("messages", "tool_call_id")
    op.drop_index("messages_user_idx", "messages")
    op.drop_constraint("check_role_values", "messages")
    op.execute("CREATE TYPE message_role AS ENUM ('user', 'assistant', 'system', 'tool')")
    op.execute("ALTER TABLE messages ALTER COLUMN role DROP DEFAULT")
    op.execute("ALTER TABLE messages ALTER COLUMN role TYPE message_role USING role::message_role")
    op.execute("ALTER TABLE messages ALTER COLUMN role SET DEFAULT 'user'")
    op.create_index(
        "messages_user_idx",
        "messages",
        ["conversation_id"],
        postgresql_where=sa.text("role = 'user'"),
    )
