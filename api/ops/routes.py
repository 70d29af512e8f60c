"""`/health`, its probes and `/`, for operators, load balancers and programs that look for what is served."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from agent.calls.calls import Calls
from agent.turns import TurnService
from api.console.page import page, wants_page
from api.http.guarded_protocol import ConnectionGuard
from api.reload import Reload
from config.models.deployments import Deployment, Registry
from router.failover import FailoverRouter

LINKS: Final = {
    "health": "/health",
    "live": "/health/live",
    "ready": "/health/ready",
    "docs": "/docs",
    "openapi": "/openapi.json",
    "chat": "/chat",
    "chat_stream": "/chat/stream",
    "chat_completions": "/v1/chat/completions",
    "models": "/v1/models",
    "sessions": "/agent/invoke",
    "tasks": "/agent/invoke/async",
    "agents": "/agents/",
    "stats": "/stats",
    "metrics": "/metrics",
}
"""Paths by what they serve."""

routes = APIRouter(tags=["operations"])


@routes.get("/health", summary="Whether the server can serve turns, and the state of each deployment")
async def health(request: Request, response: Response) -> dict[str, Any]:
    """Needs no token. 200 if at least one deployment can be used, otherwise 503.

    An invalid file does not change the status; `reload` lists its problems.
    """
    turns: TurnService = request.state.turns
    reload: Reload = request.state.reload
    calls: Calls = request.state.calls
    registry = turns.router.registry.current
    ready = _has_ready_deployment(registry)
    response.status_code = 200 if ready else 503
    return {
        "status": "ok" if ready else "no_deployment_ready",
        "default_model": registry.default_group(),
        "models": registry.names(),
        "deployments": [_deployment(each, turns.router) for each in registry.deployments],
        "streaming": True,
        "mcp_servers": turns.mcp.status(),
        "reload": reload.status,
        "tasks": len(asyncio.all_tasks()),
        "phone_calls": calls.count,
    }


@routes.get("/health/live", summary="Whether the process answers")
async def live() -> dict[str, str]:
    """Needs no token. For a probe that restarts the process when it fails: always 200."""
    return {"status": "ok"}


@routes.get("/health/ready", summary="Whether new requests may be sent here")
async def ready(request: Request, response: Response) -> dict[str, str]:
    """Needs no token. 503 while no deployment can be used, and from SIGTERM on.

    Does not ask the database: `/v1/chat/completions` works without it.
    """
    turns: TurnService = request.state.turns
    guard: ConnectionGuard = request.state.guard
    if guard.drain.has_begun:
        status = "draining"
    else:
        status = "ready" if _has_ready_deployment(turns.router.registry.current) else "no_deployment_ready"
    response.status_code = 200 if status == "ready" else 503
    return {"status": status}


@routes.get("/", include_in_schema=False, response_model=None)
async def root(request: Request) -> dict[str, Any] | Response:
    """What is served, and where; the console for browsers. Needs no token."""
    if wants_page(request):
        return page()
    return {"status": "ok", "name": "switchboard", "version": request.app.version, "streaming": True, "links": LINKS}


def _has_ready_deployment(registry: Registry) -> bool:
    return bool(registry.names()) or any(not each.missing for each in registry.deployments)


def _deployment(deployment: Deployment, router: FailoverRouter) -> dict[str, Any]:
    stats, breakers = router.stats[deployment.id], router.breakers
    return {
        "id": deployment.id,
        "model_name": deployment.group,
        "model": deployment.model,
        "state": _state(deployment),
        "missing": deployment.missing,
        "breaker": breakers.state(deployment.id),
        "breaker_reason": breakers.reason(deployment.id),
        "in_flight": stats.in_flight,
        "first_token_ms": None if stats.first_token is None else round(stats.first_token * 1000, 1),
        "last_error": stats.last_error,
    }


def _state(deployment: Deployment) -> str:
    if not deployment.missing:
        return "ready"
    return "missing_package" if all(each.startswith("pip install ") for each in deployment.missing) else "missing_key"
