"""Whose code a stack of Python frames is in: the layers of a turn."""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = f"{Path(__file__).resolve().parents[1]}/"
_STDLIB: Final = f"{sysconfig.get_paths()['stdlib']}/"
LOOP: Final = "event loop"
OTHER: Final = "other"

_RUNNERS: Final = ("/uvicorn/_compat.py", "/asyncio/runners.py")
"""Where Python code ends and the loop, which is compiled, begins."""

_PACKAGES: Final = {
    "uvicorn: HTTP in and out": ("uvicorn", "httptools", "h11"),
    "FastAPI and Starlette": ("fastapi", "starlette", "anyio"),
    "pydantic: validation": ("pydantic", "pydantic_core", "pydantic_settings"),
    "LangGraph": ("langgraph",),
    "langchain-core": ("langchain_core", "langsmith"),
    "langchain-litellm": ("langchain_litellm",),
    "LiteLLM": ("litellm",),
    "HTTP client": ("httpx", "httpx_aiohttp", "httpcore", "aiohttp", "aiosignal", "yarl", "multidict"),
    "logging": ("structlog",),
}
_OURS: Final = {
    "router/lanes/": "lane",
    "router/stream/sse_events.py": "lane",
    "router/": "router",
    "agent/": "agent",
    "api/log.py": "logging",
    "api/": "api",
    "config/": "config",
}
_BY_PACKAGE: Final = {package: layer for layer, packages in _PACKAGES.items() for package in packages}


def layer_of(file: str) -> str | None:
    """The layer that a source file belongs to; None for the standard library, which works for whoever calls it."""
    if "/site-packages/" in file:
        package = file.rpartition("/site-packages/")[2].partition("/")[0].removesuffix(".py")
        return _BY_PACKAGE.get(package, OTHER)
    if file.startswith(ROOT):
        place = file.removeprefix(ROOT)
        return next((layer for prefix, layer in _OURS.items() if place.startswith(prefix)), OTHER)
    if file.startswith(f"{_STDLIB}logging/"):
        return "logging"
    return None if file.startswith((_STDLIB, "<")) else OTHER


def in_loop(files: Sequence[str]) -> Sequence[str]:
    """The part of a stack that the event loop called; `files` go from the inside out.

    What lies outside it, the command line and the server's own start, is on every stack and says nothing.
    """
    outside_in = list(enumerate(reversed(files), start=1))
    runs = [depth for depth, file in outside_in if file.endswith(_RUNNERS)]
    return files[: len(files) - runs[-1]] if runs else files


def own_layer(files: Sequence[str]) -> str:
    """Whose own time it is: the innermost frame that is not the standard library's, or else the loop itself."""
    return next((layer for layer in map(layer_of, files) if layer is not None), LOOP)


def layers_in(files: Sequence[str]) -> set[str]:
    """Every layer that is somewhere in the stack."""
    return {layer for layer in map(layer_of, files) if layer is not None}
