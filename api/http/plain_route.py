"""A FastAPI route whose endpoint takes the request as it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import request_response


class PlainRoute(APIRoute):
    """Calls `endpoint(request)`, which returns the response; FastAPI still documents the route.

    FastAPI would look for dependencies, open stacks for them and read the query for them: 4 % of a turn in the profile.
    """

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], **documented: Any) -> None:
        super().__init__(path, endpoint, **documented)
        self.app = request_response(endpoint)
