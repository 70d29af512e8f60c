"""Opens the background tasks of a server: with Celery's workers, or with a queue in the server's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from agent.personas.service import PersonaService
from agent.responses.store import ResponseStore
from agent.tasks.kind import RESPONSE
from agent.tasks.lifespan import Tasks, open_tasks
from agent.tasks.process_queue import ProcessQueue
from agent.tasks.queue import TaskQueue
from api.components import Components
from api.responses.background_task import ResponseTasks
from api.tasks.encode import SessionFormats
from config.settings import Settings, queue_url

TIME_TO_FINISH: Final = 2.0
"""Seconds that a stopping server waits for the tasks in its process. The next start goes on with the others."""


@asynccontextmanager
async def server_tasks(settings: Settings, components: Components) -> AsyncIterator[Tasks]:
    """The tasks of a server."""
    if settings.task_queue == "celery":
        from agent.tasks.celery_queue import CeleryQueue, celery_app  # Celery takes 20 MB

        celery = celery_app(queue_url(settings), settings.task_concurrency)
        async with components_tasks(settings, components, CeleryQueue(celery)) as tasks:
            yield tasks
        return
    queue = ProcessQueue(settings.task_concurrency)
    async with AsyncExitStack() as running:
        tasks = await running.enter_async_context(components_tasks(settings, components, queue))
        await running.enter_async_context(queue.consumed_by(tasks.runner.run))
        running.push_async_callback(tasks.runner.drain, TIME_TO_FINISH, components.turns.stop)
        yield tasks


@asynccontextmanager
async def components_tasks(settings: Settings, components: Components, queue: TaskQueue) -> AsyncIterator[Tasks]:
    """The tasks that `queue` carries, run with `components`."""
    async with open_tasks(
        components.sessions,
        components.database,
        components.signals,
        queue,
        SessionFormats(),
        kinds={RESPONSE: _responses(settings, components)},
        ttl=settings.task_ttl,
        lease=settings.session_lease,
        tracer=components.tracing,
    ) as tasks:
        yield tasks


def _responses(settings: Settings, components: Components) -> ResponseTasks:
    return ResponseTasks(
        components.turns,
        PersonaService(components.turns, components.database),
        ResponseStore(components.database, settings.response_ttl),
        settings.max_tools,
    )
