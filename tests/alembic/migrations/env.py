"""Runs Alembic over the application's own driver, asyncpg, on DATABASE_URL."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from chat.database import database_url
from chat.models import Base


def managed(name: str | None, kind: str, parent_names: dict[str, str | None]) -> bool:
    """Leaves tables that the application does not know to whoever made them."""
    return kind != "table" or name in Base.metadata.tables


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=managed,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_online() -> None:
    engine = create_async_engine(database_url(), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    raise SystemExit("this project reads a real database; --sql is not supported")
asyncio.run(run_online())
