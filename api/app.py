"""Creates the ASGI app. The lifespan builds all components and yields them as state; nothing is built at import."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp

from agent.calls.calls import Calls
from agent.calls.details import CallServices
from agent.personas.service import PersonaService
from agent.responses.store import ResponseStore
from agent.tasks.runner import TaskRunner
from agent.turns import TurnService
from api import garbage_collection
from api.chat.routes import routes as chat_routes
from api.components import open_components
from api.console.page import files as console_files
from api.console.routes import routes as console_routes
from api.docs.openapi import DocumentedApp
from api.docs.routes import routes as docs_routes
from api.drain import Drain
from api.http.auth import TokenVerifier
from api.http.cors import with_cors
from api.http.errors import InvalidBody, MethodNotAllowed, RouteNotFound, error_response
from api.http.guarded_protocol import ConnectionGuard
from api.http.held import Held
from api.http.invalid_fields import problem_of
from api.http.large_bodies import LargeBodies
from api.http.request_id import RequestId, TraceId
from api.http.security_headers import SecurityHeaders
from api.messages.routes import routes as message_routes
from api.openai.embeddings import routes as embedding_routes
from api.openai.not_served import routes as not_served_routes
from api.openai.routes import routes as openai_routes
from api.ops.routes import routes as ops_routes
from api.personas.routes import routes as persona_routes
from api.phone.incoming import routes as phone_routes
from api.phone.relay.routes import routes as relay_routes
from api.phone.retell.routes import routes as retell_routes
from api.phone.signatures import Carriers
from api.responses.routes import routes as response_routes
from api.responses.websocket import routes as response_websockets
from api.sessions.routes import routes as session_routes
from api.start_problems import StartProblems
from api.state import State
from api.statistics.routes import routes as statistics_routes
from api.tasks.lifespan import server_tasks
from api.tasks.routes import routes as task_routes
from api.tracing.switch import open_tracing
from config.errors import RequestError, SwitchboardError
from config.settings import Settings, require_queue, require_relay_secret, require_tokens

log = structlog.get_logger(__name__)

NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}
"""Otherwise FastAPI looks for OpenTelemetry at each request, for 1 % of a turn."""


def create_app(settings: Settings) -> FastAPI:
    """Create the ASGI app. It reads models.yaml, agent.yaml and callers.yaml at startup, and again when they change.

    Raises:
        ConfigError: no token is set, or Celery has no Redis. At startup: one of the files is invalid.
    """
    require_tokens(settings)
    require_queue(settings)
    require_relay_secret(settings)
    tracing = open_tracing(os.environ)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as running:
            components = await running.enter_async_context(open_components(settings, tracing))
            tasks = await running.enter_async_context(server_tasks(settings, components))
            responses = ResponseStore(components.database, settings.response_ttl)
            await running.enter_async_context(responses.sweeping())
            personas = PersonaService(components.turns, components.database)
            garbage_collection.resume()  # `api.app_factory` paused it
            yield State(
                settings=settings,
                tokens=TokenVerifier(settings.api_tokens, components.turns.callers),
                turns=components.turns,
                limits=components.limits,
                sessions=components.sessions,
                memories=components.memories,
                personas=personas,
                calls=Calls(
                    CallServices(components.turns, components.sessions, personas, components.limits, components.signals)
                ),
                carriers=Carriers.build(settings),
                responses=responses,
                statistics=components.statistics,
                metrics=components.metrics,
                tasks=tasks.service,
                backlog=tasks.backlog,
                reload=components.reload,
                guard=_guard(settings, components.turns, tasks.runner),
                large_bodies=LargeBodies(settings.max_body_memory),
            )

    app = _App(
        settings.cors_origins,
        title="Switchboard",
        version=version("switchboard"),
        description="An OpenAI-compatible agent gateway.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry=tracing.of_requests if tracing else NO_TELEMETRY,
        # Passed directly: FastAPI matches the routes of an included router twice per request.
        routes=[
            *openai_routes.routes,
            *response_routes.routes,
            *phone_routes.routes,
            *relay_routes,
            *retell_routes,
            *response_websockets,
            *message_routes.routes,
            *embedding_routes.routes,
            *session_routes.routes,
            *chat_routes.routes,
            *persona_routes.routes,
            *task_routes.routes,
            *ops_routes.routes,
            *statistics_routes.routes,
            *docs_routes.routes,
            *console_routes.routes,
            console_files,
            *not_served_routes.routes,
        ],
    )
    app.add_middleware(Held)
    if tracing:
        app.add_middleware(TraceId, trace_id=tracing.trace_id)
    app.add_exception_handler(SwitchboardError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unhandled)
    return app


def _guard(settings: Settings, turns: TurnService, tasks: TaskRunner) -> ConnectionGuard:
    def end() -> None:
        tasks.begin_no_more()  # otherwise the task of a turn that ends here is tried again at once, and again
        turns.stop()

    most = settings.max_unauthenticated_connections
    if sys.platform != "win32":
        import resource

        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = most if descriptors == resource.RLIM_INFINITY else min(most, max(1, descriptors // 2))
    return ConnectionGuard(settings.head_timeout, settings.body_timeout, most, Drain(settings.drain_time, end))


class _App(DocumentedApp):
    def __init__(self, cors_origins: Sequence[str], **described: Any) -> None:
        super().__init__(**described)
        self._cors_origins = cors_origins

    def build_middleware_stack(self) -> ASGIApp:
        """Around Starlette's own middleware, whose answer to a crash passes by what `add_middleware` adds."""
        inner = with_cors(RequestId(super().build_middleware_stack()), self._cors_origins)
        return StartProblems(SecurityHeaders(inner))


async def _on_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, SwitchboardError)  # noqa: S101  (Starlette types handlers with Exception)
    return error_response(exc, request.scope)


async def _on_invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)  # noqa: S101
    first = exc.errors()[0]
    param = str(first["loc"][-1])
    error = InvalidBody(f"{param}: {problem_of(first)}.", param=param)
    return error_response(error, request.scope)


async def _on_http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101
    if exc.status_code in (404, 405) and _has_slash_in_id(request):
        return error_response(InvalidBody("An id in the path contains a slash (%2F). Ids have no slash."))
    place = f"{request.method} {request.url.path}"
    if exc.status_code == 404:
        return error_response(RouteNotFound(f"There is no route {place}."), request.scope)
    if exc.status_code == 405:
        allowed = _allowed_methods(request)
        error = MethodNotAllowed(f"{place} is not allowed; this path supports {allowed}.")
        return error_response(error, request.scope, allow=allowed)
    return error_response(RequestError(str(exc.detail)), request.scope)


def _has_slash_in_id(request: Request) -> bool:
    """Whether the path of a session has an encoded slash, which splits the id before a route can see it."""
    return request.url.path.startswith("/agent/") and b"%2f" in request.scope.get("raw_path", b"").lower()


def _allowed_methods(request: Request) -> str:
    """The methods of all routes with the request's path; Starlette names those of the first.

    A path that is written out, such as /agents/get-agents, is not one of /agents/{agent_id} too.
    """
    partial = [each for each in request.app.routes if each.matches(request.scope)[0] is Match.PARTIAL]
    partial = [each for each in partial if getattr(each, "path", "") == request.url.path] or partial
    return ", ".join(sorted({method for each in partial for method in each.methods or ()}))


async def _on_unhandled(request: Request, exc: Exception) -> Response:
    # Starlette re-raises the exception afterwards, so uvicorn logs the traceback.
    return error_response(SwitchboardError("Internal error. The server's log has the details."), request.scope)
