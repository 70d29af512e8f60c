"""An HTTP tool of agent.yaml as a LangChain tool."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from jsonschema import Draft202012Validator
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from langgraph.runtime import get_runtime
from pydantic import Field
from referencing import Registry

from config.profile.own_tools import HttpTool

Ids = Mapping[str, str | None]
"""What a request says of its call, by the name of the header."""

Send = Callable[[HttpTool, Mapping[str, Any], Ids], Awaitable[str]]

_call_id: ContextVar[str | None] = ContextVar("call_id", default=None)


class CallerContext(Protocol):
    """The part of the turn's context that the tool reads."""

    @property
    def user_id(self) -> str | None: ...

    @property
    def session_id(self) -> str | None: ...


class DeclaredHttpTool(BaseTool):
    """Calls the service of `declared` through `send`, with valid arguments.

    `send` raises ToolException for every failure: the model sees its text, and the turn goes on.
    """

    declared: HttpTool
    args_schema: dict[str, Any]
    handle_tool_error: bool = True
    send: Send = Field(exclude=True, repr=False)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        with _within_call(input):
            return await super().ainvoke(input, config, **kwargs)

    def _run(self, /, **arguments: Any) -> str:
        raise NotImplementedError("HTTP tools are async only: use ainvoke")

    # Positional-only, so that a tool may have an argument named `self`.
    async def _arun(self, /, **arguments: Any) -> str:
        # An empty registry: the default one fetches the target of a `$ref` from the network.
        validator = Draft202012Validator(self.args_schema, registry=Registry())
        if error := next(validator.iter_errors(arguments), None):
            raise ToolException(f"Invalid arguments: {error.json_path}: {error.message}")
        context: CallerContext = get_runtime().context  # type: ignore[assignment]  # LangGraph types it as None
        ids = {
            "x-switchboard-call-id": _call_id.get(),
            "x-switchboard-user-id": context.user_id,
            "x-switchboard-session-id": context.session_id,
        }
        return await self.send(self.declared, arguments, ids)


def http_tool(declared: HttpTool, send: Send) -> DeclaredHttpTool:
    """The LangChain tool."""
    return DeclaredHttpTool(
        name=declared.name,
        description=declared.description,
        args_schema=dict(declared.parameters),
        declared=declared,
        send=send,
    )


@contextmanager
def _within_call(call: Any) -> Iterator[None]:
    """Make the id of the tool call known to `_arun`, which LangChain does not tell it."""
    token = _call_id.set(call.get("id") if isinstance(call, dict) else None)
    try:
        yield
    finally:
        _call_id.reset(token)
