"""The runner of background tasks, with sessions whose turns are scripted, on a real database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from agent.events import TextDelta, TurnFailed
from agent.sessions.events import SessionEnded, SessionEvent, SessionOpened
from agent.sessions.record import SessionRecord
from agent.sessions.requests import Invocation, Resumption
from agent.sessions.service import SessionService
from agent.sessions.signals import Signals
from agent.sessions.task_turn import TaskTurn
from agent.sessions.turn_response import TurnResponse
from agent.storage.database import Database, open_database
from agent.tasks import event_log, lifespan, recovery, service, task_run
from agent.tasks.event_log import LEFT_OUT, EventLog
from agent.tasks.kind import Ending, NewTask
from agent.tasks.lifespan import Tasks, open_tasks
from agent.tasks.process_queue import ProcessQueue
from agent.tasks.record import Progress, TaskRecord
from agent.tasks.session_requests import TaskRequest, from_json, to_json
from agent.tasks.store import TaskStore
from agent.tools.review import ReviewResponse
from api.tasks.encode import SessionFormats
from config.errors import QueueUnavailable, ServerStopping, SessionBusy, StorageUnavailable
from tests.support.session_rig import eventually
from tests.support.sqlite_threads import sqlite_connections_closed

CONCURRENCY = 8


@dataclass
class ScriptedSessions:
    """A turn says "ok", unless its query says otherwise: busy, crash, hold, stop."""

    turns: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 3

    async def check_message(self, request: Invocation) -> SessionRecord | None:
        return None

    async def check_request(self, request: Invocation) -> None:
        pass

    async def create(self, request: Invocation) -> SessionRecord:
        return _record(request)

    async def discard(self, record: SessionRecord) -> None:
        pass

    async def invoke(self, request: Invocation, task: TaskTurn) -> AsyncGenerator[SessionEvent, None]:
        if request.query == "busy" and self.busy:
            self.busy -= 1
            raise SessionBusy("Busy.")
        self.turns.append(request.query)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            yield SessionOpened(str(request.session_id))
            if request.query == "hold":
                await self.release.wait()
            if request.query == "crash":
                raise RuntimeError("a bug")
            if request.query == "stop" and not task.retried:
                yield TurnFailed(ServerStopping())
                yield SessionEnded(_record(request))
                return
            yield TextDelta("ok")
        finally:
            self.running -= 1
        yield SessionEnded(_record(request))


@dataclass(frozen=True, slots=True)
class Rig:
    tasks: Tasks
    sessions: ScriptedSessions
    store: TaskStore

    async def submit(self, query: str, session_id: str = "s") -> str:
        return (await self.tasks.service.invoke(Invocation("ann", query, session_id, on_busy="enqueue"))).task_id

    async def status(self, task_id: str) -> str:
        return (await self.store.get(task_id)).status

    async def ended(self, task_id: str) -> str:
        async def has_ended() -> bool:
            return (await self.store.get(task_id)).finished is not None

        await eventually(has_ended)
        return await self.status(task_id)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(None, tmp_path, 5, 10.0) as database:
        yield database
    await sqlite_connections_closed()


@asynccontextmanager
async def opened(database: Database, lease: float = 10.0) -> AsyncIterator[Rig]:
    sessions, queue = ScriptedSessions(), ProcessQueue(CONCURRENCY)
    scripted = cast(SessionService, sessions)
    async with open_tasks(scripted, database, Signals(), queue, SessionFormats(), ttl=60, lease=lease) as tasks:
        async with queue.consumed_by(tasks.runner.run):
            yield Rig(tasks, sessions, TaskStore(database))


async def test_many_tasks_at_once_all_finish_a_few_at_a_time(database: Database) -> None:
    async with opened(database) as rig:
        tasks = await asyncio.gather(*(rig.submit("Hi", f"{n}") for n in range(150)))
        await eventually(lambda: len(rig.sessions.turns) == 150, 60)
        for each in tasks:
            await rig.ended(each)
        statuses = Counter([each.status for each in await rig.store.of_user("ann", 2000, 0)])
        assert statuses == {"completed": 150}
        assert rig.sessions.most <= CONCURRENCY


async def test_a_task_waits_for_a_session_that_stays_busy(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_run, "BUSY_PAUSE", 0.01)
    async with opened(database) as rig:
        assert await rig.ended(await rig.submit("busy")) == "completed"
        assert rig.sessions.busy == 0


async def test_a_message_that_cannot_be_queued_supersedes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database) as rig:
        runs, waits = await rig.submit("hold"), await rig.submit("Hi")
        await eventually(lambda: rig.sessions.running)
        with monkeypatch.context() as full, pytest.raises(QueueUnavailable):
            full.setattr(ProcessQueue, "send", AsyncMock(side_effect=QueueUnavailable))
            await rig.tasks.service.invoke(Invocation("ann", "new", "s", on_busy="supersede"))
        assert [each.task_id for each in await rig.store.of_user("ann", 9, 0)] == [waits, runs]
        rig.sessions.release.set()
        assert [await rig.ended(each) for each in (runs, waits)] == ["completed", "completed"]


async def test_a_message_that_supersedes_waiting_tasks_runs_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a worker looks at it before they are cancelled."""
    looked = asyncio.Event()

    class SlowStore(TaskStore):
        async def claim(self, task_id: str, claim_id: str) -> TaskRecord | None:
            claimed = await super().claim(task_id, claim_id)
            looked.set()
            return claimed

        async def ask_to_cancel(self, task_id: str, ending: Callable[[TaskRecord], Ending]) -> TaskRecord:
            await looked.wait()
            return await super().ask_to_cancel(task_id, ending)

    monkeypatch.setattr(lifespan, "TaskStore", SlowStore)
    monkeypatch.setattr(recovery, "INTERVAL", 3600.0)
    async with opened(database) as rig:
        waits = await rig.store.add(NewTask("ann", "s", to_json(Invocation("ann", "Hi", "s"))))
        newest = await rig.tasks.service.invoke(Invocation("ann", "new", "s", on_busy="supersede"))
        assert await rig.ended(newest.task_id) == "completed"
        assert (await rig.status(waits.task_id), rig.sessions.turns) == ("cancelled", ["new"])


async def test_a_message_that_supersedes_a_task_that_is_deleted_meanwhile_runs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deleting(TaskStore):
        async def ask_to_cancel(self, task_id: str, ending: Callable[[TaskRecord], Ending]) -> TaskRecord:
            await self.delete(task_id)
            return await super().ask_to_cancel(task_id, ending)

    monkeypatch.setattr(lifespan, "TaskStore", Deleting)
    async with opened(database) as rig:
        await rig.store.add(NewTask("ann", "s", to_json(Invocation("ann", "Hi", "s"))))
        newest = await rig.tasks.service.invoke(Invocation("ann", "new", "s", on_busy="supersede"))
        assert await rig.ended(newest.task_id) == "completed"


async def test_a_bug_ends_its_task_alone(database: Database) -> None:
    async with opened(database) as rig:
        crashes, follows = await rig.submit("crash"), await rig.submit("Hi")
        assert [await rig.ended(each) for each in (crashes, follows)] == ["error", "completed"]
        assert "bug" not in str((await rig.store.get(crashes)).answer)


async def test_a_task_whose_server_stops_goes_on_elsewhere(database: Database) -> None:
    async with opened(database) as rig:
        task_id = await rig.submit("stop")
        assert await rig.ended(task_id) == "completed"
        assert rig.sessions.turns == ["stop", "stop"]
        events = [line async for _, line in rig.tasks.service.events(task_id)]
        assert "server_stopping" not in "".join(events)


async def test_a_task_that_kills_its_workers_is_given_up(database: Database) -> None:
    async with opened(database) as rig:
        record = await rig.store.add(NewTask("ann", "s", to_json(Invocation("ann", "Hi", "s"))))
        for n in range(task_run.MAX_ATTEMPTS):
            await rig.store.claim(record.task_id, f"{n}")
            await rig.store.hand_back(f"{n}", Progress(1, [], []))
        await rig.tasks.runner.run(record.task_id)
        assert await rig.status(record.task_id) == "error"
        assert "The worker stopped" in str((await rig.store.get(record.task_id)).answer)
        assert rig.sessions.turns == []


async def test_drained_it_finishes_what_runs_and_begins_nothing(database: Database) -> None:
    async with opened(database) as rig:
        runs = await rig.submit("hold")
        await eventually(lambda: rig.sessions.running)
        draining = asyncio.create_task(rig.tasks.runner.drain(20, lambda: None))
        await asyncio.sleep(0)
        waits = await rig.submit("Hi", "other")
        rig.sessions.release.set()
        await draining
        assert [await rig.status(each) for each in (runs, waits)] == ["completed", "queued"]


async def test_drained_it_waits_for_a_task_that_it_is_claiming(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming, claimed = asyncio.Event(), asyncio.Event()

    class SlowStore(TaskStore):
        async def claim(self, task_id: str, claim_id: str) -> TaskRecord | None:
            claiming.set()
            await claimed.wait()
            return await super().claim(task_id, claim_id)

    monkeypatch.setattr(lifespan, "TaskStore", SlowStore)
    async with opened(database) as rig:
        task_id = await rig.submit("Hi")
        await claiming.wait()
        draining = asyncio.create_task(rig.tasks.runner.drain(20, lambda: None))
        await asyncio.sleep(0)
        claimed.set()
        await draining
        assert await rig.status(task_id) == "completed"


async def test_a_caller_that_waits_for_the_end_of_a_cancelled_task_looks_at_it_now_and_then(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CANCEL_TIMEOUT", 2 * service.POLL_INTERVAL)
    looks = 0

    class CountingStore(TaskStore):
        async def get(self, task_id: str) -> TaskRecord:
            nonlocal looks
            looks += 1
            return await super().get(task_id)

    monkeypatch.setattr(lifespan, "TaskStore", CountingStore)
    async with opened(database) as rig:
        task_id = await rig.submit("hold")
        await eventually(lambda: rig.sessions.running)
        assert (await rig.tasks.service.cancel(task_id)).status == "running"
        assert looks <= 5
        rig.sessions.release.set()
        await rig.ended(task_id)


async def test_what_a_stopped_process_left_is_taken_up_at_the_next_start(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "OVERDUE", 0.0)
    async with opened(database) as rig:
        await rig.tasks.runner.drain(0, lambda: None)
        task_id = await rig.submit("Hi")
    async with opened(database) as rig:
        assert await rig.ended(task_id) == "completed"


async def test_events_beyond_the_limit_are_left_out_but_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "MAX_CHARACTERS", 10)
    log = EventLog(_ignore, stored=3, steps=["multiply"])
    for n in range(5):
        log.add(f"text {n}", is_text=True)
    log.add("end")
    await log.close()
    assert log.progress == Progress(4, ["text 0", "text 1", *[LEFT_OUT] * 3, "end"], ["multiply"])


async def test_events_are_kept_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "FLUSH_INTERVAL", 0.001)
    stored: list[Progress] = []
    away = [True, True, False]

    async def store(progress: Progress) -> bool:
        if away.pop(0):
            raise StorageUnavailable
        stored.append(progress)
        return True

    log = EventLog(store, stored=0, steps=())
    log.add("one")
    await eventually(lambda: stored)
    assert stored == [Progress(1, ["one"], [])]
    assert log.progress.lines == [] and log.progress.first == 2


@pytest.mark.parametrize(
    "request_",
    [
        Invocation("ann", "Hi", "s", system_message="x", model="m", ttl=5, sets_ttl=True, on_busy="enqueue"),
        Resumption("ann", "s", {None: ReviewResponse("edit", {"a": 1}, action="multiply")}, "m"),
        Resumption("ann", "s", {"one": ReviewResponse("accept"), "two": ReviewResponse("reject", words="no")}),
        Resumption("ann", "s", (ReviewResponse("accept"), ReviewResponse("response", words="yes"))),
    ],
)
def test_requests_survive_the_database(request_: TaskRequest) -> None:
    assert from_json(to_json(request_)) == request_


async def _ignore(_: Progress) -> bool:
    return True


def _record(request: Invocation) -> SessionRecord:
    now = datetime.now(UTC)
    fields: dict[str, Any] = dict.fromkeys(("last_query", "model", "system_message", "summary"))
    return SessionRecord(
        user_id=request.user_id,
        session_id=str(request.session_id),
        thread_id="t",
        status="completed",
        message="",
        last_response=TurnResponse("completed", now.timestamp()),
        interrupts=(),
        created=now,
        updated=now,
        expires_at=None,
        **fields,
    )
