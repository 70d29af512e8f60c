"""Stores the conversations with personas and their messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Row, delete, func, insert, select

from agent.personas.persona import Conversation, Exchange, Persona
from agent.personas.personas_table import conversations, messages, personas, visible_to
from agent.personas.store import persona_of
from agent.storage.columns import utc_now
from agent.storage.database import Database
from config.errors import ConversationNotFound, PersonaNotFound

PAGE: Final = 50
"""Exchanges that are read at once for a turn."""
NEWEST: Final = 100
"""Conversations of a persona that are listed with it."""
MAX_IDS: Final = 1000
"""Ids in one query; databases have limits of their own."""


class ConversationStore:
    """The conversations in `database`, which any number of processes may share.

    `owner` is the caller that sees only what it made; None sees all conversations.
    A user's message may contain anything but NUL and lone surrogates, an answer anything. Every method raises
    StorageUnavailable during an outage.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def create(self, agent_id: str, owner: str | None = None) -> Conversation:
        """Begin a conversation. Raises PersonaNotFound."""
        lock = select(personas.c.id).where(personas.c.id == agent_id).with_for_update()
        new = insert(conversations).values(id=str(uuid4()), agent_id=agent_id, created=self._clock(), owner=owner)
        async with self._database.begin() as connection:
            if (await connection.execute(lock)).one_or_none() is None:
                raise PersonaNotFound("There is no agent with this id.")
            return _conversation((await connection.execute(new.returning(conversations))).one())

    async def list(
        self, agent_id: str, limit: int | None = None, offset: int = 0, owner: str | None = None
    ) -> Sequence[Conversation]:
        """The persona's conversations, oldest first. Raises PersonaNotFound."""
        theirs = select(conversations).where(conversations.c.agent_id == agent_id, visible_to(owner))
        theirs = theirs.order_by(conversations.c.number)
        async with self._database.read() as connection:
            if (await connection.execute(select(personas.c.id).where(personas.c.id == agent_id))).one_or_none() is None:
                raise PersonaNotFound("There is no agent with this id.")
            return [_conversation(row) for row in await connection.execute(theirs.limit(limit).offset(offset))]

    async def newest(self, agent_ids: Sequence[str], owner: str | None = None) -> Mapping[str, Sequence[Conversation]]:
        """The newest `NEWEST` conversations of each of these personas, oldest first."""
        age = func.row_number().over(partition_by=conversations.c.agent_id, order_by=conversations.c.number.desc())
        found: dict[str, list[Conversation]] = {each: [] for each in agent_ids}
        async with self._database.read() as connection:
            for start in range(0, len(agent_ids), MAX_IDS):
                theirs = conversations.c.agent_id.in_(agent_ids[start : start + MAX_IDS])
                by_age = select(conversations, age.label("age")).where(theirs, visible_to(owner)).subquery()
                new = select(by_age).where(by_age.c.age <= NEWEST).order_by(by_age.c.number)
                for row in await connection.execute(new):
                    found[row.agent_id].append(_conversation(row))
        return found

    async def persona(self, conversation_id: str, owner: str | None = None) -> Persona:
        """The persona that the conversation is with. Raises ConversationNotFound."""
        partner = select(personas).join(conversations)
        partner = partner.where(conversations.c.id == conversation_id, visible_to(owner))
        async with self._database.read() as connection:
            return persona_of(_found((await connection.execute(partner)).one_or_none()))

    async def delete(self, conversation_id: str, owner: str | None = None) -> None:
        """Delete the conversation and its messages. Raises ConversationNotFound."""
        async with self._database.begin() as connection:
            one = delete(conversations).where(conversations.c.id == conversation_id, visible_to(owner))
            _found((await connection.execute(one.returning(conversations.c.id))).one_or_none())

    async def messages(
        self, conversation_id: str, limit: int | None = None, offset: int = 0, owner: str | None = None
    ) -> Sequence[Exchange]:
        """The conversation's exchanges, oldest first. Raises ConversationNotFound."""
        of_it = select(messages).where(messages.c.conversation_id == conversation_id).order_by(messages.c.number)
        known = select(conversations.c.id).where(conversations.c.id == conversation_id, visible_to(owner))
        async with self._database.read() as connection:
            _found((await connection.execute(known)).one_or_none())
            return [_exchange(row) for row in await connection.execute(of_it.limit(limit).offset(offset))]

    async def newest_first(self, conversation_id: str) -> AsyncGenerator[Sequence[Exchange], None]:
        """The conversation's exchanges, newest first, page by page; the reader stops when it has enough."""
        older = select(messages).where(messages.c.conversation_id == conversation_id)
        older = older.order_by(messages.c.number.desc()).limit(PAGE)
        page: Sequence[Exchange] = ()
        while True:
            upto = older.where(messages.c.number < page[-1].number) if page else older
            async with self._database.read() as connection:
                page = [_exchange(row) for row in await connection.execute(upto)]
            if page:
                yield page
            if len(page) < PAGE:
                return

    async def add(self, conversation_id: str, user_message: str, agent_message: str) -> Exchange:
        """Store both messages of a turn at once, after those that are there. Raises ConversationNotFound."""
        lock = select(conversations.c.id).where(conversations.c.id == conversation_id).with_for_update()
        last = select(func.max(messages.c.number)).where(messages.c.conversation_id == conversation_id)
        async with self._database.begin() as connection:
            _found((await connection.execute(lock)).one_or_none())
            new = insert(messages).values(
                conversation_id=conversation_id,
                number=((await connection.execute(last)).scalar_one() or 0) + 1,
                id=str(uuid4()),
                created=self._clock(),
                user_message=user_message,
                agent_message=agent_message,
            )
            return _exchange((await connection.execute(new.returning(messages))).one())


def _found(row: Row[Any] | None) -> Row[Any]:
    if row is None:
        raise ConversationNotFound("There is no conversation with this id.")
    return row


def _conversation(row: Row[Any]) -> Conversation:
    return Conversation(row.id, row.agent_id, row.created)


def _exchange(row: Row[Any]) -> Exchange:
    return Exchange(row.id, row.conversation_id, row.number, row.created, row.user_message, row.agent_message)
