"""The fence of a thread: only the newest claim of its session writes checkpoints.

A process that was frozen past its lease does not know that another turn has claimed the session meanwhile. So every
claim has a number, and a checkpoint saver compares it with the session's number of claims in the transaction of each
write. A claim waits for such transactions, so none of them ends after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from langchain_core.runnables import RunnableConfig

# LangGraph stores other keys than those with two underscores in the metadata of each checkpoint.
CLAIM_KEY: Final = "__switchboard_claim"


@dataclass(frozen=True, slots=True)
class ClaimedThread:
    """A thread, and the number of the claim whose turn writes to it."""

    thread_id: str
    claim: int

    def config(self) -> RunnableConfig:
        """The config for LangGraph. Its writes raise LeaseLost once there is a newer claim."""
        return {"configurable": {"thread_id": self.thread_id, CLAIM_KEY: self.claim}}


def claim_of(config: RunnableConfig) -> int | None:
    """The claim of a `ClaimedThread.config()`; None for a config without one, whose writes are not checked."""
    claim: int | None = config["configurable"].get(CLAIM_KEY)
    return claim
