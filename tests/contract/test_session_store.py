"""Sessions and their leases: the same suite over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from agent.events import Usage
from agent.sessions.record import SessionRecord
from agent.sessions.sessions_table import CRASHED, sessions
from agent.sessions.store import SessionStore
from agent.sessions.turn_response import TurnResponse
from agent.storage.database import Database
from config.errors import SessionBusy, SessionExists, SessionNotFound, SessionNotReady, StorageUnavailable
from tests.contract.conftest import OpenDatabase
from tests.support.postgres_server import PostgresServer

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = 10.0


class Clock:
    def __init__(self) -> None:
        self.now = BEGAN.timestamp()

    def __call__(self) -> float:
        return self.now

    def go_on(self, seconds: float) -> None:
        self.now += seconds

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> SessionStore:
    return SessionStore(database, clock=clock, lease=LEASE)


@pytest.fixture
async def other_worker(open_it: OpenDatabase, store: SessionStore, clock: Clock) -> AsyncIterator[SessionStore]:
    """The store of another process on the same database."""
    async with open_it() as database:
        yield SessionStore(database, clock=clock, lease=LEASE)


async def found(store: SessionStore, session_id: str = "s") -> SessionRecord:
    record = await store.find("u", session_id)
    assert record is not None
    return record


def said(text: str) -> TurnResponse:
    """The response of a turn that said `text`."""
    message = {"type": "ai", "content": text, "tool_calls": [{"name": "n", "args": {"n": float("inf")}}]}
    return TurnResponse("completed", 1.5, messages=(message,), usage=Usage(3, 2), interrupts=({"args": text},))


async def outcomes(calls: list[Awaitable[object]]) -> list[object]:
    return await asyncio.gather(*calls, return_exceptions=True)


# Creating and finding


async def test_a_new_session_is_found_as_it_was_made(store: SessionStore, clock: Clock) -> None:
    made = await store.create("u", "s", model="gpt", system_message="Be kind.", ttl=60)
    assert made == await store.find("u", "s")
    assert made == SessionRecord(
        user_id="u",
        session_id="s",
        thread_id=made.thread_id,
        status="idle",
        message="",
        last_query=None,
        last_response=None,
        model="gpt",
        system_message="Be kind.",
        interrupts=(),
        summary=None,
        created=BEGAN,
        updated=BEGAN,
        expires_at=BEGAN + timedelta(seconds=60),
    )
    assert len(made.thread_id) == 32
    assert made.created.tzinfo is UTC


async def test_a_session_that_is_there_is_not_made_again(store: SessionStore) -> None:
    first = await store.create("u", "s", model="a")
    with pytest.raises(SessionExists):
        await store.create("u", "s", model="b")
    assert await store.find("u", "s") == first


async def test_of_many_that_make_it_at_once_one_wins(store: SessionStore, other_worker: SessionStore) -> None:
    made = await outcomes([each.create("u", "s") for each in (store, other_worker) * 10])
    (winner,) = [each for each in made if isinstance(each, SessionRecord)]
    assert sum(isinstance(each, SessionExists) for each in made) == 19
    assert await store.find("u", "s") == winner


async def test_of_many_that_make_an_expired_one_anew_one_wins(store: SessionStore, clock: Clock) -> None:
    old = await store.create("u", "s", ttl=1)
    clock.go_on(1)
    made = await outcomes([store.create("u", "s") for _ in range(10)])
    (winner,) = [each for each in made if isinstance(each, SessionRecord)]
    assert sum(isinstance(each, SessionExists) for each in made) == 9
    assert winner.thread_id != old.thread_id


ODD_IDS = [
    "a",
    "A",
    "a ",
    " a",
    "a%",
    "a_",
    "a'",
    'a"',
    "ä",
    "a\u0308",
    "名前",
    "🙂",
    "x" * 256,
    "a\n",
    ";--",
    "ß",
    "ss",
]


async def test_sessions_and_users_are_told_apart_to_the_last_character(store: SessionStore) -> None:
    for user in ODD_IDS:
        for session in ("s", user):
            await store.create(user, session)
    for user in ODD_IDS:
        assert sorted(await store.ids(user)) == sorted(["s", user])
        record = await store.find(user, user)
        assert record is not None and (record.user_id, record.session_id) == (user, user)
        assert await store.find(user, "other") is None


@pytest.mark.parametrize(
    "text", ["", "a\0b", "half \ud83d of it", "\udfff", "🙂 名前", "x" * 1_000_000, "'; DROP TABLE"]
)
async def test_whatever_is_said_can_be_stored(store: SessionStore, text: str) -> None:
    await store.create("u", "s", system_message=text)
    await store.claim("u", "s", "t", text)
    assert await store.finish(
        "t",
        "interrupted",
        message=text,
        last_response=said(text),
        interrupts=[{"args": {"text": text, "n": float("inf")}}],
    )
    record = await found(store)
    stored = "".join("\ufffd" if each == "\0" or "\ud800" <= each <= "\udfff" else each for each in text)
    assert (record.system_message, record.last_query, record.message) == (stored,) * 3
    assert record.last_response == said(text)
    assert record.interrupts == ({"args": {"text": text, "n": float("inf")}},)


async def test_the_answer_in_a_row_of_an_earlier_version_is_read(store: SessionStore, database: Database) -> None:
    await store.create("u", "s")
    for text in ("Hello.", '{"answer": 42}', ""):
        async with database.begin() as connection:
            await connection.execute(update(sessions).values(last_response=text))
        response = (await found(store)).last_response
        assert response is not None
        assert (response.status, response.timestamp) == ("completed", BEGAN.timestamp())
        assert [(each["role"], each["content"]) for each in response.messages] == [("assistant", text)] * bool(text)


# A turn and its lease


async def test_a_turn_from_its_beginning_to_its_end(store: SessionStore, clock: Clock) -> None:
    made = await store.create("u", "s", model="m", system_message="Be kind.")
    clock.go_on(1)
    assert await store.claim("u", "s", "t", "Hi?") == made
    running = await found(store)
    assert (running.status, running.last_query, running.last_response, running.updated) == (
        *("running", "Hi?", None),
        clock.time,
    )
    clock.go_on(1)
    assert await store.renew(["t"]) == {"t": "held"}
    assert (await found(store)).updated < clock.time
    assert await store.finish("t", "completed", last_response=said("Hello."))
    ended = await found(store)
    assert (ended.status, ended.message, ended.last_query, ended.last_response, ended.updated) == (
        *("completed", "", "Hi?", said("Hello.")),
        clock.time,
    )
    assert (ended.thread_id, ended.model, ended.system_message, ended.created) == (
        *(made.thread_id, "m", "Be kind."),
        BEGAN,
    )


async def test_what_a_turn_does_not_say_stays(store: SessionStore) -> None:
    await store.create("u", "s")
    await store.claim("u", "s", "t1", "first")
    await store.finish("t1", "completed", last_response=said("said"))
    await store.claim("u", "s", "t2", None)
    await store.finish("t2", "error", message="It broke.")
    record = await found(store)
    assert (record.status, record.message) == ("error", "It broke.")
    assert (record.last_query, record.last_response) == ("first", said("said"))


async def test_what_an_interrupted_session_waits_for_is_gone_with_the_next_turn(store: SessionStore) -> None:
    await store.create("u", "s")
    await store.claim("u", "s", "t1", "book")
    pending = ({"id": "1", "value": {"action": "book_hotel"}}, {"id": "2", "value": None})
    await store.finish("t1", "interrupted", message="Waits for a review.", interrupts=pending)
    waiting = await found(store)
    assert (waiting.status, waiting.message, waiting.interrupts) == ("interrupted", "Waits for a review.", pending)
    assert await store.claim("u", "s", "t2", None) == waiting
    assert ((await found(store)).message, (await found(store)).interrupts) == ("", ())
    # Who cannot go on after all puts it back.
    await store.finish("t2", waiting.status, message=waiting.message, interrupts=waiting.interrupts)
    assert (await found(store)).interrupts == pending


async def test_while_a_turn_runs_no_other_begins_in_any_worker(
    store: SessionStore, other_worker: SessionStore, clock: Clock
) -> None:
    await store.create("u", "s")
    await store.claim("u", "s", "t1", "first")
    clock.go_on(4)
    before = await store.find("u", "s")
    for each in (store, other_worker):
        with pytest.raises(SessionBusy) as raised:
            await each.claim("u", "s", "t2", "second")
        assert raised.value.retry_after == pytest.approx(6)
    assert await store.find("u", "s") == before
    await store.finish("t1", "completed")
    assert (await other_worker.claim("u", "s", "t2", "second")).status == "completed"


async def test_of_fifty_turns_that_begin_at_once_one_runs(store: SessionStore, other_worker: SessionStore) -> None:
    await store.create("u", "s")
    workers = (store, other_worker) * 25
    began = await outcomes([each.claim("u", "s", f"t{n}", f"q{n}") for n, each in enumerate(workers)])
    (winner,) = [n for n, each in enumerate(began) if isinstance(each, SessionRecord)]
    assert sum(isinstance(each, SessionBusy) for each in began) == 49
    assert [n for n in range(50) if await store.renew([f"t{n}"]) == {f"t{n}": "held"}] == [winner]
    assert (await found(store)).last_query == f"q{winner}"


async def test_turns_on_different_sessions_do_not_hinder_each_other(store: SessionStore) -> None:
    for n in range(20):
        await store.create("u", f"s{n}")
    began = await outcomes([store.claim("u", f"s{n}", f"t{n}", "") for n in range(20)])
    assert all(isinstance(each, SessionRecord) for each in began)


async def test_a_lease_lasts_as_long_as_it_is_renewed(store: SessionStore, clock: Clock) -> None:
    await store.create("u", "s")
    await store.claim("u", "s", "t1", "q")
    for _ in range(5):
        clock.go_on(LEASE - 1)
        assert (await found(store)).status == "running"
        assert await store.renew(["t1"]) == {"t1": "held"}
    clock.go_on(LEASE - 1)
    with pytest.raises(SessionBusy):
        await store.claim("u", "s", "t2", "q")


async def test_many_leases_are_renewed_together_and_each_learns_its_own(store: SessionStore, clock: Clock) -> None:
    for name in ("runs", "stops", "deleted", "other"):
        await store.create("u", name)
        await store.claim("u", name, name, "q")
    await store.request_stop("u", "stops")
    await store.delete("u", "deleted")
    clock.go_on(LEASE - 1)
    assert await store.renew(["runs", "stops", "deleted", "unknown"]) == {
        **{"runs": "held", "stops": "stop"},
        **{"deleted": "lost", "unknown": "lost"},
    }
    assert await store.renew([]) == {}
    clock.go_on(LEASE - 1)
    assert [(await found(store, each)).status for each in ("runs", "stops", "other")] == ["running", "running", "error"]


async def test_a_turn_whose_process_died_reads_as_an_error_and_the_session_goes_on(
    store: SessionStore, other_worker: SessionStore, clock: Clock
) -> None:
    await store.create("u", "s")
    await store.claim("u", "s", "t1", "first")
    clock.go_on(LEASE)
    for record in (await other_worker.find("u", "s"), await other_worker.latest("u")):
        assert record is not None
        assert (record.status, record.message, record.last_query) == ("error", CRASHED, "first")
    crashed = await other_worker.claim("u", "s", "t2", "second")
    assert (crashed.status, crashed.last_query) == ("running", "first")
    # The process was only slow, and finds that its turn is no more.
    assert await store.renew(["t1"]) == {"t1": "lost"}
    assert not await store.finish("t1", "completed", last_response=said("late"))
    record = await found(store)
    assert (record.status, record.last_response) == ("running", None)
    assert await other_worker.renew(["t2"]) == {"t2": "held"}


async def test_a_lease_that_lapsed_is_held_again_if_nobody_took_it(store: SessionStore, clock: Clock) -> None:
    await store.create("u", "s")
    await store.claim("u", "s", "t", "q")
    clock.go_on(2 * LEASE)
    assert await store.renew(["t"]) == {"t": "held"}
    assert (await found(store)).status == "running"


async def test_a_turn_that_finished_after_its_lease_lapsed_is_stored(store: SessionStore, clock: Clock) -> None:
    await store.create("u", "s")
    await store.claim("u", "s", "t", "q")
    clock.go_on(2 * LEASE)
    assert await store.finish("t", "completed", last_response=said("late"))
    assert (await found(store)).last_response == said("late")
    assert not await store.finish("t", "error")
    assert (await found(store)).status == "completed"


async def test_a_turn_begins_only_from_the_statuses_that_are_allowed(store: SessionStore, clock: Clock) -> None:
    await store.create("u", "s")
    with pytest.raises(SessionNotReady) as raised:
        await store.claim("u", "s", "t1", "q", from_statuses={"interrupted"})
    assert raised.value.status == "idle"
    assert (await found(store)).status == "idle"
    await store.claim("u", "s", "t1", "q", from_statuses={"idle", "completed"})
    with pytest.raises(SessionBusy):  # busy comes first: its status is about to change
        await store.claim("u", "s", "t2", "q", from_statuses={"idle"})
    clock.go_on(LEASE)
    with pytest.raises(SessionNotReady) as raised:
        await store.claim("u", "s", "t2", "q", from_statuses={"running"})
    assert raised.value.status == "error"
    assert (await store.claim("u", "s", "t2", "q", from_statuses={"error"})).status == "running"


async def test_who_asks_a_turn_to_stop_reaches_it_in_any_worker(
    store: SessionStore, other_worker: SessionStore, clock: Clock
) -> None:
    await store.create("u", "s")
    assert await other_worker.request_stop("u", "s") is None
    await store.claim("u", "s", "t1", "q")
    assert await other_worker.request_stop("u", "s") == "t1"
    clock.go_on(LEASE - 1)
    assert await store.renew(["t1"]) == {"t1": "stop"}
    clock.go_on(LEASE - 1)
    assert (await found(store)).status == "running"
    assert await store.renew(["t1"]) == {"t1": "stop"}
    await store.finish("t1", "completed")
    assert await other_worker.request_stop("u", "s") is None
    await store.claim("u", "s", "t2", "q")
    assert await store.renew(["t2"]) == {"t2": "held"}
    clock.go_on(LEASE)
    assert await other_worker.request_stop("u", "s") is None
    await other_worker.claim("u", "s", "t3", "q")
    assert await other_worker.renew(["t3"]) == {"t3": "held"}


async def test_a_stop_that_came_before_a_crash_does_not_stop_the_next_turn(store: SessionStore, clock: Clock) -> None:
    await store.create("u", "s")
    await store.claim("u", "s", "t1", "q")
    await store.request_stop("u", "s")
    clock.go_on(LEASE)
    await store.claim("u", "s", "t2", "q")
    assert await store.renew(["t2"]) == {"t2": "held"}


async def test_a_summary_stays_with_its_thread_through_turns(store: SessionStore) -> None:
    made, other = await store.create("u", "s"), await store.create("u", "other")
    await store.claim("u", "s", "t", "q")
    await store.set_summary(made.thread_id, {"text": "They met.\0", "covered": 3})
    await store.finish("t", "completed")
    assert (await found(store)).summary == {"text": "They met.\0", "covered": 3}
    assert (await found(store, "other")) == other


async def test_where_there_is_no_session_nothing_can_be_done(store: SessionStore, clock: Clock) -> None:
    await store.create("u", "expired", ttl=5)
    clock.go_on(5)
    for name in ("unknown", "expired"):
        for call in (
            store.claim("u", name, "t", "q"),
            store.set_expiry("u", name, None),
        ):
            with pytest.raises(SessionNotFound):
                await call
        assert await store.find("u", name) is None
        assert await store.request_stop("u", name) is None
        assert await store.delete("u", name) is None
    assert await store.renew(["t"]) == {"t": "lost"}
    assert not await store.finish("t", "completed")
    assert await store.latest("u") is None


# Expiry, deletion, listing


async def test_a_session_expires_when_its_time_is_over_and_not_before(store: SessionStore, clock: Clock) -> None:
    made = await store.create("u", "s", ttl=60)
    clock.go_on(59.999)
    assert await store.find("u", "s") == made
    assert await store.expired(10) == []
    clock.go_on(0.001)
    assert await store.find("u", "s") is None
    assert await store.ids("u") == []
    assert await store.expired(10) == [made]


async def test_a_new_expiry_counts_from_now(store: SessionStore, clock: Clock) -> None:
    await store.create("u", "s", ttl=60)
    clock.go_on(59)
    assert (await store.set_expiry("u", "s", 10)).expires_at == clock.time + timedelta(seconds=10)
    clock.go_on(9)
    assert (await store.set_expiry("u", "s", None)).expires_at is None
    clock.go_on(1_000_000)
    assert (await found(store)).updated == BEGAN


async def test_an_expired_session_can_be_made_anew_and_the_old_thread_is_swept(
    store: SessionStore, clock: Clock
) -> None:
    old = await store.create("u", "s", ttl=60)
    await store.claim("u", "s", "t", "q")
    await store.finish("t", "completed", last_response=said("secret"))
    clock.go_on(60)
    new = await store.create("u", "s")
    assert new.thread_id != old.thread_id
    assert (await found(store)).last_response is None
    (over,) = await store.expired(10)
    assert over.thread_id == old.thread_id
    await store.remove([over])
    assert await store.expired(10) == []
    assert await store.find("u", "s") == new


async def test_a_deleted_session_is_gone_at_once_and_swept_if_its_deleter_dies(store: SessionStore) -> None:
    made = await store.create("u", "s")
    deleted = await store.delete("u", "s")
    assert deleted is not None and deleted.thread_id == made.thread_id
    assert await store.find("u", "s") is None
    assert await store.latest("u") is None
    assert await store.ids("u") == []
    assert await store.delete("u", "s") is None
    again = await store.create("u", "s")
    assert again.thread_id != made.thread_id
    assert [each.thread_id for each in await store.expired(10)] == [made.thread_id]
    await store.remove([deleted])
    assert await store.expired(10) == []
    assert await store.find("u", "s") == again


async def test_a_session_is_discarded_only_before_its_first_turn(store: SessionStore) -> None:
    await store.discard(await store.create("u", "s"))
    assert await store.find("u", "s") is None and await store.expired(10) == []
    used = await store.create("u", "s")
    await store.claim("u", "s", "t", "q")
    await store.finish("t", "completed")
    await store.discard(used)
    assert (await found(store)).status == "completed"


async def test_a_deleted_session_stays_gone_for_a_worker_whose_clock_is_behind(
    store: SessionStore, database: Database, clock: Clock
) -> None:
    behind = SessionStore(database, clock=lambda: clock() - LEASE / 2, lease=LEASE)
    await behind.create("u", "s")
    await behind.claim("u", "s", "t", "q")
    assert await store.delete("u", "s")
    assert await behind.find("u", "s") is None
    assert await behind.latest("u") is None
    assert await behind.ids("u") == []
    assert await behind.renew(["t"]) == {"t": "lost"}
    assert not await behind.finish("t", "completed")
    assert await behind.create("u", "s")


@pytest.mark.parametrize("step", [3600, -3600])
async def test_a_step_of_a_wall_clock_changes_no_lease(
    database: Database, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    before = SessionStore(database, lease=LEASE)
    monkeypatch.setattr("agent.sessions.store.time", SimpleNamespace(time=lambda: time.time() + step))
    after = SessionStore(database, lease=LEASE)
    await before.create("u", "s")
    await before.claim("u", "s", "t1", "q")
    with pytest.raises(SessionBusy) as busy:
        await after.claim("u", "s", "t2", "q")
    assert busy.value.retry_after is not None and 0 < busy.value.retry_after <= LEASE
    assert await after.is_running("t1")
    assert await after.request_stop("u", "s") == "t1"
    assert await after.finish("t1", "completed")

    brief = SessionStore(database, lease=0.1)
    await brief.claim("u", "s", "t3", "q")
    async with asyncio.timeout(5):
        while await before.is_running("t3"):
            await asyncio.sleep(0.01)
    assert (await found(before)).status == "error"
    await before.claim("u", "s", "t4", "q")


async def test_a_lease_of_another_clock_counts_as_lapsed(database: Database) -> None:
    store = SessionStore(database, lease=LEASE)
    await store.create("u", "s")
    await store.claim("u", "s", "t1", "q")
    async with database.begin() as connection:
        far = datetime(2999, 1, 1, tzinfo=UTC)
        await connection.execute(update(sessions).values(lease_until=far))
    assert not await store.is_running("t1")
    assert (await found(store)).status == "error"
    await store.claim("u", "s", "t2", "q")


async def test_only_one_of_many_deletes_a_session(store: SessionStore) -> None:
    await store.create("u", "s")
    deleted = await outcomes([store.delete("u", "s") for _ in range(10)])
    assert sum(isinstance(each, SessionRecord) for each in deleted) == 1
    assert sum(each is None for each in deleted) == 9


async def test_a_turn_on_a_deleted_session_is_lost_and_its_thread_stays_until_it_ends(store: SessionStore) -> None:
    await store.create("u", "s")
    await store.claim("u", "s", "t", "q")
    deleted = await store.delete("u", "s")
    assert deleted is not None
    assert await store.renew(["t"]) == {"t": "lost"}
    await store.remove([deleted])
    assert await store.expired(10) == []
    assert not await store.finish("t", "completed", last_response=said("late"))
    (over,) = await store.expired(10)
    assert over.thread_id == deleted.thread_id
    await store.remove([over])
    assert await store.expired(10) == []


async def test_a_turn_on_a_session_that_expires_is_lost(store: SessionStore, clock: Clock) -> None:
    await store.create("u", "s", ttl=5)
    await store.claim("u", "s", "t", "q")
    clock.go_on(5)
    assert await store.renew(["t"]) == {"t": "lost"}
    assert await store.expired(10) == []
    clock.go_on(LEASE)
    assert [each.session_id for each in await store.expired(10)] == ["s"]
    assert not await store.finish("t", "completed")


async def test_a_session_that_is_not_over_is_never_removed(store: SessionStore) -> None:
    kept = [await store.create("u", "never"), await store.create("u", "later", ttl=60)]
    await store.remove(kept)
    await store.remove([])
    assert sorted(await store.ids("u")) == ["later", "never"]


async def test_the_sweeper_gets_what_expired_first_and_no_more_than_it_asks_for(
    store: SessionStore, clock: Clock
) -> None:
    for ttl in (30, 10, 20):
        await store.create("u", f"s{ttl}", ttl=ttl)
    await store.create("u", "never")
    clock.go_on(100)
    assert [each.session_id for each in await store.expired(2)] == ["s10", "s20"]
    assert [each.session_id for each in await store.expired(9)] == ["s10", "s20", "s30"]


async def test_sessions_are_listed_by_their_last_activity(store: SessionStore, clock: Clock) -> None:
    for name in ("a", "b", "c", "gone", "expired"):
        await store.create("u", name, ttl=5 if name == "expired" else None)
        clock.go_on(1)
    await store.create("other", "theirs")
    await store.delete("u", "gone")
    assert await store.ids("u") == ["expired", "c", "b", "a"]
    clock.go_on(4)
    await store.claim("u", "a", "t", "q")
    clock.go_on(1)
    assert await store.ids("u") == ["a", "c", "b"]
    await store.claim("u", "b", "t2", "q")
    clock.go_on(1)
    await store.finish("t", "completed")
    assert await store.ids("u") == ["a", "b", "c"]
    latest = await store.latest("u")
    assert latest is not None and latest.session_id == "a"
    assert (await store.ids("u", limit=2), await store.ids("u", limit=2, offset=2)) == (["a", "b"], ["c"])
    assert await store.ids("nobody") == []
    assert await store.latest("nobody") is None


# When things go wrong underneath


async def test_a_caller_who_hangs_up_at_any_moment_leaves_everything_usable(
    store: SessionStore, database: Database, clock: Clock
) -> None:
    await store.create("u", "s")
    for steps in range(60):
        claim = asyncio.create_task(store.claim("u", "s", f"t{steps}", "q"))
        for _ in range(steps):
            await asyncio.sleep(0)
        claim.cancel()
        await asyncio.wait([claim])
        clock.go_on(LEASE)
    async with asyncio.timeout(10):
        assert all(await asyncio.gather(*[store.find("u", "s") for _ in range(20)]))
        # A cancelled claim may have read the clock after its last step: SQLite's thread finishes what it has begun.
        clock.go_on(LEASE)
        assert await store.claim("u", "s", "last", "q")
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_restart_of_postgres_is_survived(open_postgres: OpenDatabase, postgres: PostgresServer) -> None:
    async with open_postgres() as database:
        store = SessionStore(database)
        await store.create("u", "s")
        await asyncio.gather(*[store.find("u", "s") for _ in range(5)])
        await store.claim("u", "s", "t", "q")
        postgres.stop()
        for call in (
            store.find("u", "s"),
            store.renew(["t"]),
            store.claim("u", "s", "t2", "q"),
            store.create("u", "s2"),
        ):
            with pytest.raises(StorageUnavailable) as raised:
                await call
            assert str(raised.value) == "The database is temporarily unavailable. Try again in a moment."
        postgres.start()
        assert await store.renew(["t"]) == {"t": "held"}
        assert await store.finish("t", "completed")
        assert all(await asyncio.gather(*[store.find("u", "s") for _ in range(5)]))


async def test_a_restart_that_nobody_was_there_to_see_is_not_even_noticed(
    open_postgres: OpenDatabase, postgres: PostgresServer
) -> None:
    async with open_postgres() as database:
        store = SessionStore(database)
        await store.create("u", "s")
        await asyncio.gather(*[store.find("u", "s") for _ in range(5)])
        postgres.stop()
        postgres.start()
        assert all(await asyncio.gather(*[store.find("u", "s") for _ in range(5)]))
        assert await store.claim("u", "s", "t", "q")


async def test_a_connection_that_breaks_within_a_transaction_is_told_as_such(
    open_postgres: OpenDatabase, postgres: PostgresServer
) -> None:
    async with open_postgres() as database:
        store = SessionStore(database)
        await store.create("u", "s")
        with pytest.raises(StorageUnavailable):
            async with database.begin() as connection:
                await connection.exec_driver_sql("SELECT 1")
                postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
                await connection.exec_driver_sql("SELECT 1")
        assert await store.find("u", "s")
