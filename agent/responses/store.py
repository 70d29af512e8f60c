"""Stored responses. Each may go on after an earlier one, so that they form chains that branch.

A chain is kept until its newest response expires. A response belongs to the caller that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Row,
    Select,
    Update,
    delete,
    exists,
    insert,
    literal,
    or_,
    select,
    update,
)

from agent.responses.responses_table import responses
from agent.storage.columns import utc_now
from agent.storage.database import Database
from agent.storage.sweeping import sweeping
from config.errors import PreviousResponseNotFound, ResponseNotFound

MAX_CHAIN: Final = 2_000
"""Responses of a chain, as many as items of a request."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response: the items of its own `input`, and the object that its caller was sent."""

    id: str
    previous_id: str | None
    first_id: str
    input: Sequence[Mapping[str, Any]]
    response: Mapping[str, Any]


class ResponseStore:
    """The responses in `database`, which any number of servers may share.

    A response expires after `ttl` seconds; None means never. Every method raises StorageUnavailable during an outage.
    """

    def __init__(self, database: Database, ttl: float | None, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._ttl = ttl
        self._clock = clock

    async def add(
        self,
        caller: str,
        previous: StoredResponse | None,
        items: Sequence[Mapping[str, Any]],
        response: Mapping[str, Any],
    ) -> None:
        """Store `response` to `items`, which goes on after `previous`."""
        new = self.addition(caller, previous, items, response)
        await self._database.run(lambda connection: connection.execute(new).close())

    def addition(
        self,
        caller: str,
        previous: StoredResponse | None,
        items: Sequence[Mapping[str, Any]],
        response: Mapping[str, Any],
    ) -> Insert:
        """The statement of `add`, for a transaction that stores more."""
        return insert(responses).values(
            id=response["id"],
            caller=caller,
            previous_id=previous.id if previous else None,
            first_id=previous.first_id if previous else response["id"],
            expires=None if self._ttl is None else self._clock() + timedelta(seconds=self._ttl),
            input=list(items),
            response=response,
        )

    def removal(self, response_id: str) -> Delete:
        """The statement that deletes the response, for a transaction that deletes more."""
        return delete(responses).where(responses.c.id == response_id)

    def change(self, response: Mapping[str, Any]) -> Update:
        """The statement that stores `response` in place of the one with its id, for a transaction that stores more."""
        return update(responses).where(responses.c.id == response["id"]).values(response=response)

    async def get(self, caller: str, response_id: str) -> StoredResponse:
        """Raises ResponseNotFound: the caller has no such response, or it has expired."""
        rows = await self._database.execute(self._theirs(caller).where(responses.c.id == response_id))
        if not rows:
            raise ResponseNotFound(f"Response with id '{response_id}' not found.")
        return _stored(rows[0])

    async def chain(self, caller: str, response_id: str) -> Sequence[StoredResponse]:
        """The response and all before it, oldest first.

        Raises:
            PreviousResponseNotFound: the caller has no such response, it has expired, or one before it was deleted.
        """
        newest = self._theirs(caller).add_columns(literal(1).label("depth")).where(responses.c.id == response_id)
        chain = newest.cte("chain", recursive=True)
        before = select(responses, chain.c.depth + 1).where(
            responses.c.id == chain.c.previous_id, responses.c.caller == caller, chain.c.depth < MAX_CHAIN
        )
        chain = chain.union_all(before)
        rows = await self._database.execute(select(chain).order_by(chain.c.depth.desc()))
        if not rows or rows[0].previous_id is not None:
            missing = rows[0].previous_id if rows else response_id
            raise PreviousResponseNotFound(f"Previous response with id '{missing}' not found.")
        return [_stored(row) for row in rows]

    async def find(self, caller: str, response_ids: Sequence[str]) -> Mapping[str, StoredResponse]:
        """Those of the caller's responses that exist, by id."""
        if not response_ids:
            return {}
        rows = await self._database.execute(self._theirs(caller).where(responses.c.id.in_(response_ids)))
        return {row.id: _stored(row) for row in rows}

    async def delete(self, caller: str, response_id: str) -> None:
        """Delete the response. Those that go on after it cannot be gone on with. Raises ResponseNotFound."""
        one = delete(responses).where(responses.c.id == response_id, responses.c.caller == caller, self._alive())
        deleted = await self._database.run(lambda connection: connection.execute(one).rowcount)
        if not deleted:
            raise ResponseNotFound(f"Response with id '{response_id}' not found.")

    def sweeping(self) -> AbstractAsyncContextManager[None]:
        """Delete chains that have expired, in the background while this is entered."""
        return sweeping("response sweeper", self.sweep, "responses_removed")

    async def sweep(self) -> int:
        """Delete the chains that have expired; returns the number of responses."""
        expired = delete(responses).where(responses.c.expires <= self._clock(), ~self._alive())
        return await self._database.run(lambda connection: connection.execute(expired).rowcount)

    def _theirs(self, caller: str) -> Select[Any]:
        return select(responses).where(responses.c.caller == caller, self._alive())

    def _alive(self) -> ColumnElement[bool]:
        """Whether a response of the chain has not expired."""
        other = responses.alias("other")
        later = or_(other.c.expires.is_(None), other.c.expires > self._clock())
        return exists().where(other.c.first_id == responses.c.first_id, later)


def _stored(row: Row[Any]) -> StoredResponse:
    return StoredResponse(row.id, row.previous_id, row.first_id, row.input, row.response)
