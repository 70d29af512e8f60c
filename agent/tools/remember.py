"""The tool with which the agent stores a fact about the user for later conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.tools import ToolException, tool
from langgraph.prebuilt import ToolRuntime

from config.errors import RequestError, StorageUnavailable

if TYPE_CHECKING:
    from agent.memory.long_term import LongTermMemory  # it imports LiteLLM, which `switchboard check` does without


class MemoryContext(Protocol):
    """The part of the turn's context that the tool reads."""

    @property
    def user_id(self) -> str | None: ...

    @property
    def memory(self) -> LongTermMemory | None: ...


@tool
async def remember(content: str, runtime: ToolRuntime[Any, Any]) -> str:
    """Remember a lasting fact about the user for later conversations, such as a name, a preference or a plan.

    Write it as one sentence that is understood on its own. Never store passwords or card numbers.
    """
    turn: MemoryContext = runtime.context
    user_id, memory = turn.user_id, turn.memory
    if user_id is None or memory is None:
        raise ToolException("Nothing can be remembered in this conversation: the user is unknown.")
    try:
        await memory.write(user_id, content)
    except (RequestError, StorageUnavailable) as error:
        raise ToolException(str(error)) from error
    return "Remembered."


remember.handle_tool_error = True  # the model sees the error text
