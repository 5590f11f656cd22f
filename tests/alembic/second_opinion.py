"""Uses the database as the application does, through its SQLAlchemy model.

insert       writes one tool turn with every column of the model, as the application does
insert-role  writes the columns only that the database always had, to show how role is bound
read         reads the last message back

Ends with 0 and one line about the row, or with 1 and the driver's own error.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable

from sqlalchemy import Connection, create_engine, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from chat.database import database_url
from chat.models import Conversation, Message


def insert_turn(connection: Connection) -> str:
    with Session(connection) as session:
        conversation = Conversation(title="Second opinion")
        session.add(conversation)
        session.flush()
        message = Message(
            conversation_id=conversation.id,
            role="user",
            content="Does it work now?",
            tool_call_id="call_1",
            name="second_opinion",
        )
        session.add(message)
        session.flush()
        line = f"inserted message {message.id}, role {message.role}"
        session.commit()
        return line


def insert_role(connection: Connection) -> str:
    conversation = connection.execute(
        insert(Conversation).values(title="Second opinion").returning(Conversation.id)
    ).scalar_one()
    message = connection.execute(
        insert(Message)
        .values(conversation_id=conversation, role="user", content="Only the old columns")
        .returning(Message.id)
    ).scalar_one()
    connection.commit()
    return f"inserted message {message}, role user"


def read(connection: Connection) -> str:
    with Session(connection) as session:
        message = session.scalars(select(Message).order_by(Message.id.desc()).limit(1)).one()
        return (
            f"message {message.id}, role {message.role}, "
            f"tool_call_id {message.tool_call_id}, name {message.name}"
        )


COMMANDS: dict[str, Callable[[Connection], str]] = {
    "insert": insert_turn,
    "insert-role": insert_role,
    "read": read,
}


async def run_async(command: Callable[[Connection], str]) -> str:
    engine = create_async_engine(database_url("asyncpg"))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(command)
    finally:
        await engine.dispose()


def run_sync(command: Callable[[Connection], str], driver: str) -> str:
    engine = create_engine(database_url(driver))
    try:
        with engine.connect() as connection:
            return command(connection)
    finally:
        engine.dispose()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument(
        "--driver",
        choices=["asyncpg", "psycopg", "psycopg2"],
        default="asyncpg",
        help="asyncpg and psycopg send a string as varchar, psycopg2 leaves its type open",
    )
    arguments = parser.parse_args()
    command = COMMANDS[arguments.command]
    try:
        if arguments.driver == "asyncpg":
            print(asyncio.run(run_async(command)))
        else:
            print(run_sync(command, arguments.driver))
    except DBAPIError as error:
        # The server's own words; the statement's parameters stay out of the log.
        print(str(error.orig).strip(), file=sys.stderr)
        return 1
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
