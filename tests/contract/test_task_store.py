"""The store of background tasks, on both databases, and what keeps tasks from getting lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert

from agent.storage.database import Database
from agent.tasks.kind import RESPONSE, Ending, NewTask
from agent.tasks.process_queue import MAX_WAITING, ProcessQueue
from agent.tasks.record import Progress, TaskRecord
from agent.tasks.recovery import OVERDUE, Recovery
from agent.tasks.store import Backlog, Released, TaskStore
from agent.tasks.tasks_table import task_events
from config.errors import QueueUnavailable, TaskNotFound

USER, SESSION = "ann", "s"
NOTHING = Progress(1, [], [])
CANCELLED = {"status": "error", "message": "cancelled"}
LEASE = 10.0


@dataclass
class Clock:
    """Seconds since 1970; it moves only when told."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class RecordingQueue:
    """A queue that keeps what is sent."""

    sent: list[str] = field(default_factory=list)
    waiting: bool = False
    down: bool = False

    async def send(self, task_ids: Sequence[str]) -> None:
        self.sent += task_ids

    async def is_empty(self) -> bool:
        if self.down:
            raise QueueUnavailable
        return not self.waiting


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> TaskStore:
    return TaskStore(database, clock=clock, lease=LEASE)


async def add(store: TaskStore, session_id: str = SESSION, user_id: str = USER) -> str:
    return (await store.add(NewTask(user_id, session_id, {"query": "Hi"}))).task_id


def cancelled(_: TaskRecord) -> Ending:
    return Ending("cancelled", CANCELLED, ["last"])


async def claim(store: TaskStore, task_id: str) -> str | None:
    claim_id = uuid4().hex
    return None if await store.claim(task_id, claim_id) is None else claim_id


async def test_a_task_is_claimed_once(store: TaskStore) -> None:
    task_id = await add(store)
    record = await store.claim(task_id, "one")
    assert record is not None
    assert (record.status, record.attempts, record.request) == ("running", 1, {"query": "Hi"})
    assert await claim(store, task_id) is None
    assert await claim(store, "0" * 32) is None


async def test_tasks_of_a_session_are_claimed_in_their_order(store: TaskStore) -> None:
    first, second, other = await add(store), await add(store), await add(store, "other")
    assert await claim(store, second) is None
    held = await claim(store, first)
    assert held is not None and await claim(store, other) is not None
    assert await claim(store, second) is None
    assert await store.finish(held, Ending("completed", {}), NOTHING) == Released(True, second)
    assert await store.next_of_session(USER, SESSION) == second
    assert await claim(store, second) is not None


async def test_what_changes_with_an_end_changes_only_for_the_holder_of_the_claim(
    store: TaskStore, clock: Clock
) -> None:
    task_id = await add(store)
    dead = await claim(store, task_id)
    assert dead is not None
    clock.now += LEASE + 1
    alive = await claim(store, task_id)
    assert alive is not None

    def ending(word: str) -> Ending:
        noted = insert(task_events).values(task_id="noted", last=1, lines=[word])
        return Ending("completed", {}, changes=[noted])

    assert not (await store.finish(dead, ending("dead"), NOTHING)).held
    assert (await store.finish(alive, ending("alive"), NOTHING)).held
    assert await store.all_events("noted") == ["alive"]


async def test_a_new_task_comes_and_goes_with_what_else_it_stores(store: TaskStore) -> None:
    noted = insert(task_events).values(task_id="noted", last=1, lines=["new"])
    gone = delete(task_events).where(task_events.c.task_id == "noted")
    record = await store.add(NewTask(USER, SESSION, {}, lines=["one", "two"], changes=[noted]))
    assert (record.events, await store.events(record.task_id, 0, 10)) == (2, [(1, "one"), (2, "two")])
    assert await store.all_events("noted") == ["new"]
    assert await store.remove(record.task_id, [gone])
    assert await store.all_events("noted") == await store.all_events(record.task_id) == []


async def test_what_was_produced_stays_until_it_is_replaced(store: TaskStore) -> None:
    task_id = await add(store)
    held = await claim(store, task_id)
    assert held is not None
    for saved, kept in (([1], [1]), (None, [1]), ([1, 2], [1, 2])):
        await store.append(held, Progress(1, [], [], saved))
        assert (await store.get(task_id)).produced == kept


async def test_rows_of_earlier_versions_are_tasks_on_sessions(store: TaskStore, database: Database) -> None:
    """They have no `kind` and have produced nothing."""
    columns = "task_id, user_id, session_id, status, request, steps, events, attempts, cancel_asked, sent, created"
    values = f"'{'0' * 32}', 'ann', 's', 'queued', '{{}}', '[]', 0, 0, false, '2026-01-01 00:00', '2026-01-01 00:00'"
    async with database.begin() as connection:
        await connection.exec_driver_sql(f"INSERT INTO tasks ({columns}) VALUES ({values})")
    [record] = await store.of_user("ann", 10, 0)
    assert (record.kind, record.produced) == ("session", None)
    await store.add(NewTask("ann", "1" * 32, {}, kind=RESPONSE))
    assert await store.of_user("ann", 10, 0) == [record]


async def test_a_deleted_task_is_lost_to_its_worker(store: TaskStore) -> None:
    task_id = await add(store)
    held = await claim(store, task_id)
    assert held is not None
    await store.append(held, Progress(1, ["one"], []))
    await store.delete(task_id)
    assert await store.renew([held]) == {held: "lost"}
    assert await store.all_events(task_id) == []
    with pytest.raises(TaskNotFound):
        await store.get(task_id)


async def test_the_backlog_is_what_waits_and_what_runs(store: TaskStore, clock: Clock) -> None:
    assert await store.backlog() == Backlog(0, 0, 0.0)
    first, second = await add(store), await add(store, "other")
    clock.now += 5
    await add(store, "third")
    assert await store.backlog() == Backlog(3, 0, 5.0)
    held = await claim(store, first)
    assert held is not None and await claim(store, second) is not None
    assert await store.backlog() == Backlog(1, 2, 0.0)
    await store.finish(held, Ending("completed", {}), NOTHING)
    assert await store.backlog() == Backlog(1, 1, 0.0)


async def test_a_lapsed_claim_is_taken_over_and_its_holder_can_change_nothing_more(
    store: TaskStore, clock: Clock
) -> None:
    task_id = await add(store)
    dead = await claim(store, task_id)
    assert dead is not None
    await store.append(dead, Progress(1, ["one"], ["multiply"]))
    clock.now += LEASE - 1
    assert await store.renew([dead]) == {dead: "held"}
    clock.now += LEASE - 1
    assert await claim(store, task_id) is None
    clock.now += 2
    record = await store.claim(task_id, "alive")
    assert record is not None
    assert (record.attempts, record.events, record.steps) == (2, 1, ("multiply",))
    assert await store.renew([dead, "alive"]) == {dead: "lost", "alive": "held"}
    assert not await store.append(dead, Progress(2, ["two"], []))
    assert not (await store.finish(dead, Ending("completed", {}), Progress(2, ["two"], []))).held
    assert not (await store.hand_back(dead, NOTHING)).held
    assert await store.events(task_id, 0, 10) == [(1, "one")]
    assert (
        await store.finish("alive", Ending("completed", {"message": "done"}), Progress(2, ["end"], ["multiply"]))
    ).held
    ended = await store.get(task_id)
    assert (ended.status, ended.answer, ended.events) == ("completed", {"message": "done"}, 2)
    assert await claim(store, task_id) is None


async def test_a_task_that_is_handed_back_can_be_claimed_at_once(store: TaskStore) -> None:
    task_id = await add(store)
    held = await claim(store, task_id)
    assert held is not None
    assert await store.hand_back(held, NOTHING) == Released(True, task_id)
    assert (await store.get(task_id)).status == "queued"
    again = await store.claim(task_id, "again")
    assert again is not None and again.attempts == 2


async def test_events_are_read_after_any_number(store: TaskStore) -> None:
    task_id = await add(store)
    held = await claim(store, task_id)
    assert held is not None
    await store.append(held, Progress(1, ["a", "b", "c"], []))
    await store.append(held, Progress(4, ["d"], []))
    everything = [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
    for after in range(5):
        assert await store.events(task_id, after, 10) == everything[after:]
    assert await store.events(task_id, 0, 1) == everything[:3]


async def test_a_queued_task_is_cancelled_at_once_and_a_running_one_is_asked(store: TaskStore) -> None:
    queued, running = await add(store), await add(store, "other")
    held = await claim(store, running)
    assert held is not None
    ended = await store.ask_to_cancel(queued, cancelled)
    assert (ended.status, ended.answer, ended.finished is None) == ("cancelled", CANCELLED, False)
    assert await store.events(queued, 0, 10) == [(1, "last")]
    assert await claim(store, queued) is None
    asked = await store.ask_to_cancel(running, cancelled)
    assert (asked.status, asked.finished) == ("running", None)
    assert await store.renew([held]) == {held: "cancel"}
    await store.finish(held, Ending("cancelled", CANCELLED), NOTHING)
    assert await store.ask_to_cancel(running, cancelled) == await store.get(running)


async def test_a_task_whose_worker_died_is_cancelled_at_once(store: TaskStore, clock: Clock) -> None:
    task_id = await add(store)
    held = await claim(store, task_id)
    assert held is not None
    await store.append(held, Progress(1, ["one"], []))
    clock.now += LEASE + 1
    assert (await store.ask_to_cancel(task_id, cancelled)).status == "cancelled"
    assert await store.events(task_id, 0, 10) == [(1, "one"), (2, "last")]
    assert await store.renew([held]) == {held: "lost"}


async def test_only_a_task_that_nobody_has_claimed_is_removed(store: TaskStore) -> None:
    fresh, claimed = await add(store), await add(store, "other")
    await claim(store, claimed)
    assert (await store.remove(fresh), await store.remove(claimed)) == (True, False)
    with pytest.raises(TaskNotFound):
        await store.get(fresh)


async def test_a_users_tasks(store: TaskStore) -> None:
    first, second = await add(store), await add(store, "other")
    await add(store, user_id="bob")
    assert ids(await store.of_user(USER, 10, 0)) == [second, first]
    assert ids(await store.of_user(USER, 1, 1)) == [first]
    held = await claim(store, second)
    assert held is not None
    await store.finish(held, Ending("completed", {}), NOTHING)
    response = await store.add(NewTask(USER, "1" * 32, {}, kind=RESPONSE))
    assert ids(await store.unfinished(USER)) == ids(await store.unfinished(USER, SESSION)) == [first]
    assert not await store.unfinished(USER, response.session_id)


async def test_lost_tasks_are_sent_again_once(store: TaskStore, clock: Clock) -> None:
    queue = RecordingQueue()
    recovery = Recovery(store, queue, ttl=60)
    queued, behind, died = await add(store), await add(store), await add(store, "other")
    await claim(store, died)
    await add(store, "ended")
    assert await recovery.send_lost() == 0
    clock.now += OVERDUE + 0.1
    queue.waiting = True
    assert await recovery.send_lost() == 0
    queue.waiting, queue.down = False, True
    with pytest.raises(QueueUnavailable):
        await recovery.send_lost()
    queue.down = False
    assert await recovery.send_lost() == 2
    assert queue.sent[0] == queued and behind not in queue.sent and died not in queue.sent
    assert await recovery.send_lost() == 0
    clock.now += LEASE
    await recovery.send_lost()
    assert queue.sent[-2:] != [] and died in queue.sent and behind not in queue.sent


async def test_old_tasks_are_deleted_with_their_events(store: TaskStore, clock: Clock) -> None:
    old, running = await add(store), await add(store, "other")
    held, runs = await claim(store, old), await claim(store, running)
    assert held is not None and runs is not None
    await store.finish(held, Ending("completed", {}), Progress(1, ["end"], []))
    recovery = Recovery(store, RecordingQueue(), ttl=60)
    clock.now += 59
    assert await recovery.sweep() == 0
    clock.now += 2
    assert await recovery.sweep() == 1
    assert await store.events(old, 0, 10) == []
    assert (await store.get(running)).status == "running"


async def test_the_process_queue_keeps_a_bounded_number_of_ids() -> None:
    queue = ProcessQueue(1)
    await queue.send([f"{n}" for n in range(MAX_WAITING + 10)])
    seen: list[str] = []

    async def run(task_id: str) -> None:
        seen.append(task_id)

    async with queue.consumed_by(run):
        while len(seen) < MAX_WAITING:
            await asyncio.sleep(0)
    assert (seen, await queue.is_empty()) == ([f"{n}" for n in range(MAX_WAITING)], True)


def ids(records: Sequence[TaskRecord]) -> list[str]:
    return [each.task_id for each in records]
