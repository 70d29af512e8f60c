"""Builds the session service and runs its background tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from agent.personas.store import PersonaStore
from agent.sessions.admission import Admission
from agent.sessions.claims import Claims
from agent.sessions.leases import RENEW_INTERVAL, Leases
from agent.sessions.runner import SessionRunner
from agent.sessions.service import SessionService
from agent.sessions.signals import Signals
from agent.sessions.states import SessionStates
from agent.sessions.store import DEFAULT_LEASE, SessionStore
from agent.sessions.sweeper import Sweeper
from agent.sessions.threads import Threads
from agent.shielded_work import BackgroundWork
from agent.storage.database import Database
from agent.storage.thread_saver import ThreadSaver
from agent.turns import TurnService


@asynccontextmanager
async def open_sessions(
    turns: TurnService,
    database: Database,
    checkpoints: ThreadSaver,
    signals: Signals,
    *,
    states: SessionStates | None = None,
    ttl: float | None,
    lease: float = DEFAULT_LEASE,
) -> AsyncIterator[SessionService]:
    """The session service, with its records in `database` and its messages in `checkpoints`.

    `states` has the states that clients poll; None reads them from the database. A new session expires after `ttl`
    seconds; None means never. A turn that has not renewed its lease for `lease` seconds counts as crashed.
    """
    store = SessionStore(database, states=states, lease=lease)
    threads = Threads(turns, checkpoints)
    leases = Leases(store, interval=min(RENEW_INTERVAL, lease / 4))
    claims = Claims(store, signals)
    admission = Admission(turns, store, threads, claims, PersonaStore(database), ttl=ttl)
    background = BackgroundWork()
    runner = SessionRunner(turns, store, threads, claims, leases, signals, background)
    async with AsyncExitStack() as running:
        await running.enter_async_context(leases.running())
        await running.enter_async_context(Sweeper(store, threads).running())
        running.push_async_callback(background.aclose)
        yield SessionService(turns, store, threads, claims, admission, runner, signals)
