"""`/stats`, `/reset-stats` and `/metrics`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from agent.statistics.store import MINUTES_KEPT
from agent.statistics.writer import StatisticsWriter
from agent.tasks.backlog import TaskBacklog
from api.http.auth import authenticate_operator, authenticated_caller, require_operator
from api.statistics import encode
from api.statistics.prometheus import exposition
from api.statistics.worker_metrics import WorkerMetrics
from config.settings import Settings

routes = APIRouter(tags=["operations"])

OPERATOR = [Depends(authenticate_operator)]

MINUTES = Annotated[int, Query(ge=1, le=MINUTES_KEPT)]


@routes.get("/stats", summary="Statistics of all servers since the last reset", dependencies=OPERATOR)
async def stats(request: Request) -> dict[str, Any]:
    """What another server or worker counted in the last second may be missing."""
    return encode.totals(await _statistics(request).totals())


@routes.get("/stats/timeseries", summary="The same numbers minute by minute", dependencies=OPERATOR)
async def timeseries(request: Request, minutes: MINUTES = 60) -> dict[str, Any]:
    """One point for each of the last `minutes`, the oldest first. A reset does not change them."""
    counted = await _statistics(request).minutes(minutes)
    return await asyncio.to_thread(encode.timeseries, counted)


@routes.post("/reset-stats", summary="Count from now on", dependencies=OPERATOR)
async def reset_stats(request: Request) -> dict[str, Any]:
    """Nothing is erased: the time, the caller and the totals until now are recorded."""
    reset = await _statistics(request).reset(request.state.caller)
    return {"success": True, "since": encode.time_text(reset.time), "reset_by": reset.caller}


@routes.get(
    "/metrics",
    summary="Metrics of this server for Prometheus",
    response_class=Response,
)
async def metrics(request: Request) -> Response:
    """Needs no token with `SWITCHBOARD_METRICS_PUBLIC=true`."""
    settings: Settings = request.state.settings
    if not settings.metrics_public:
        require_operator(authenticated_caller(request))
    workers: WorkerMetrics = request.state.metrics
    backlog: TaskBacklog = request.state.backlog
    body, content_type = await asyncio.to_thread(
        exposition, workers.own(), workers.read_others, request.headers.get("accept", ""), backlog.latest
    )
    return Response(body, headers={"content-type": content_type})


def _statistics(request: Request) -> StatisticsWriter:
    statistics: StatisticsWriter = request.state.statistics
    return statistics
