"""Puts the server together. The lifespan builds everything and hands it on as state; nothing is built at import."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import structlog
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from agent.turns import TurnService
from api.auth import TokenCheck
from api.errors import MethodNotAllowed, RouteNotFound, error_response
from api.log import configure_logging
from api.openai.routes import routes as openai_routes
from api.ops.routes import routes as ops_routes
from api.request_id import RequestId
from api.state import State
from config.agent_file import load_agent
from config.deployments import Registry
from config.errors import RequestError, SwitchboardError
from config.models_file import load_models
from config.settings import Settings, environment, load_settings, require_tokens
from router.failover import FailoverRouter
from router.lanes.selection import Lanes
from router.registry import LiveRegistry

log = structlog.get_logger(__name__)


def create_app_from_environment() -> FastAPI:
    """What uvicorn's workers call: the command line leaves the settings in the environment."""
    settings = load_settings()
    configure_logging(settings.log_level, as_json=settings.log_json)
    return create_app(settings)


def create_app(settings: Settings) -> FastAPI:
    """The ASGI app for `settings`. Files are read when it starts.

    Raises:
        ConfigError: no token is set; while starting: models.yaml or agent.yaml is wrong.
    """
    require_tokens(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        registry, profile = load_models(settings.models_file, environment()), load_agent(settings.agent_file)
        _log_registry(registry)
        lanes = Lanes.build()
        try:
            await lanes.warm_up(each for each in registry.deployments if not each.missing)
            turns = TurnService(FailoverRouter(LiveRegistry(registry), lanes), profile)
            # What start-up made lives as long as the process, so the collector need not look through it in a turn.
            gc.freeze()
            yield State(settings=settings, tokens=TokenCheck(settings.api_tokens), turns=turns)
        finally:
            await lanes.aclose()

    app = FastAPI(
        title="Switchboard",
        version=version("switchboard"),
        description="An OpenAI-compatible agent gateway.",
        lifespan=lifespan,
        redoc_url=None,
    )
    app.add_middleware(RequestId)
    app.include_router(openai_routes)
    app.include_router(ops_routes)
    app.add_exception_handler(SwitchboardError, _on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_crash)
    return app


async def _on_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, SwitchboardError)  # noqa: S101  (Starlette types handlers by Exception)
    return error_response(exc)


async def _on_http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101
    place = f"{request.method} {request.url.path}"
    if exc.status_code == 404:
        return error_response(RouteNotFound(f"There is nothing at {place}."))
    if exc.status_code == 405:
        return error_response(MethodNotAllowed(f"{place} is not possible; the path takes another method."))
    return error_response(RequestError(str(exc.detail)))


async def _on_crash(_: Request, exc: Exception) -> Response:
    # Starlette's error middleware raises the exception on after this, so uvicorn logs its traceback.
    return error_response(SwitchboardError("Something went wrong here. The operator finds the reason in the log."))


def _log_registry(registry: Registry) -> None:
    for warning in registry.warnings:
        log.warning("models_file", problem=warning)
    for deployment in registry.deployments:
        if deployment.missing:
            log.info("deployment_left_out", deployment=deployment.id, not_set=", ".join(deployment.missing))
    log.info("models_ready", models=list(registry.names()), default=registry.default_group())
