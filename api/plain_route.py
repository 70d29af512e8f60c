"""A FastAPI route whose endpoint takes the request as it is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class PlainRoute(APIRoute):
    """Calls `endpoint(request)`, which returns the response; FastAPI still documents the route.

    FastAPI would look for dependencies and read the query for them: 3 % of a turn in the profile.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint
