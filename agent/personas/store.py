"""Stores personas in the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from agent.personas.persona import Persona, PersonaFields
from agent.personas.personas_table import conversations, personas, visible_to
from agent.storage.columns import utc_now
from agent.storage.database import Database
from config.errors import PersonaInUse, PersonaNameTaken, PersonaNotFound


class PersonaStore:
    """The personas in `database`, which any number of processes may share.

    Texts and names may contain anything but NUL and lone surrogates. Every method raises StorageUnavailable during an
    outage.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def create(self, fields: PersonaFields, owner: str | None = None) -> Persona:
        """Store a new persona of the caller `owner`.

        Raises:
            PersonaNameTaken: another persona has the name.
        """
        new = insert(personas).values(**asdict(fields), id=str(uuid4()), created=self._clock(), owner=owner)
        try:
            async with self._database.begin() as connection:
                return persona_of((await connection.execute(new.returning(personas))).one())
        except IntegrityError as exc:
            raise _name_taken(fields.name) from exc

    async def get(self, persona_id: str) -> Persona:
        """The persona with this id. Raises PersonaNotFound."""
        return await self._one(personas.c.id == persona_id)

    async def find(self, id_or_name: str) -> Persona:
        """The persona with this id or name. Raises PersonaNotFound."""
        # No name is an id: the API refuses names that look like one.
        return await self._one((personas.c.id if is_id(id_or_name) else personas.c.name) == id_or_name)

    async def list(self, limit: int | None = None, offset: int = 0) -> Sequence[Persona]:
        """The personas, oldest first."""
        async with self._database.read() as connection:
            found = select(personas).order_by(personas.c.number).limit(limit).offset(offset)
            return [persona_of(row) for row in await connection.execute(found)]

    async def update(self, persona_id: str, changes: Mapping[str, Any]) -> Persona:
        """Change some fields, by their names in PersonaFields; returns the persona after that.

        Raises:
            PersonaNotFound: there is no such persona.
            PersonaNameTaken: another persona has the new name.
        """
        if not changes:
            return await self.get(persona_id)
        change = update(personas).where(personas.c.id == persona_id).values(**changes)
        try:
            async with self._database.begin() as connection:
                row = (await connection.execute(change.returning(personas))).one_or_none()
        except IntegrityError as exc:
            raise _name_taken(changes.get("name")) from exc
        return persona_of(_found(row))

    async def delete(self, persona_id: str, *, cascade: bool = False, owner: str | None = None) -> None:
        """Delete the persona; with `cascade` its conversations too. `owner` deletes only those that it made.

        Raises:
            PersonaNotFound: there is no such persona.
            PersonaInUse: it has conversations, and `cascade` is False or they are not the owner's.
        """
        all_of_it = conversations.c.agent_id == persona_id
        mine = all_of_it & visible_to(owner)
        lock = select(personas.c.id).where(personas.c.id == persona_id).with_for_update()
        async with self._database.begin() as connection:
            _found((await connection.execute(lock)).one_or_none())
            if cascade:
                await connection.execute(delete(conversations).where(mine))
            elif count := (await connection.execute(select(func.count()).where(mine))).scalar_one():
                raise PersonaInUse(
                    f"The agent has conversations ({count}). Delete them first, or send ?cascade=true to delete them "
                    "with the agent."
                )
            if count := (await connection.execute(select(func.count()).where(all_of_it))).scalar_one():
                raise PersonaInUse(
                    f"Other callers have conversations with the agent ({count}). Only the operator can delete it "
                    "with them."
                )
            await connection.execute(delete(personas).where(personas.c.id == persona_id))

    async def _one(self, condition: ColumnElement[bool]) -> Persona:
        async with self._database.read() as connection:
            return persona_of(_found((await connection.execute(select(personas).where(condition))).one_or_none()))


def is_id(value: str) -> bool:
    """Whether `value` has the form of a persona's id."""
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def persona_of(row: Row[Any]) -> Persona:
    """The persona of a row with the columns of `personas`."""
    fields = {name: getattr(row, name) for name in Persona.__dataclass_fields__}
    return Persona(**{**fields, "tools": None if row.tools is None else tuple(row.tools)})


def _found(row: Row[Any] | None) -> Row[Any]:
    if row is None:
        raise PersonaNotFound("There is no agent with this id.")
    return row


def _name_taken(name: str | None) -> PersonaNameTaken:
    return PersonaNameTaken(f"Another agent has the name {name!r}.")
