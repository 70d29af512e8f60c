"""Puts the session service together, with what runs beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from agent.sessions.background import Background
from agent.sessions.leases import INTERVAL, Leases
from agent.sessions.runner import SessionRunner
from agent.sessions.service import SessionService
from agent.sessions.signals import Signals
from agent.sessions.store import LEASE, SessionStore
from agent.sessions.sweeper import Sweeper
from agent.sessions.thread import Threads
from agent.storage.checkpoints import Checkpoints
from agent.storage.database import Database
from agent.turns import TurnService


@asynccontextmanager
async def open_sessions(
    turns: TurnService,
    database: Database,
    checkpoints: Checkpoints,
    signals: Signals,
    *,
    ttl: float | None,
    lease: float = LEASE,
) -> AsyncIterator[SessionService]:
    """The sessions of `turns`, kept in `database` and `checkpoints`.

    `ttl` (seconds) is the expiry of a new one, `lease` (seconds) the time after which a dead server's turns are over.
    """
    store = SessionStore(database, lease=lease)
    threads = Threads(turns, checkpoints)
    leases = Leases(store, interval=min(INTERVAL, lease / 4))
    background = Background()
    runner = SessionRunner(turns, store, threads, leases, signals, background)
    async with AsyncExitStack() as running:
        await running.enter_async_context(leases.running())
        await running.enter_async_context(Sweeper(store, threads).running())
        running.push_async_callback(background.settle)
        yield SessionService(turns, store, threads, runner, signals, ttl=ttl)
