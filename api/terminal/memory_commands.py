"""The command `memory`: what the agent remembers of the user."""

from __future__ import annotations

from collections.abc import Sequence

from api.terminal import render
from api.terminal.conversation import Conversation
from api.terminal.screen import Screen
from api.terminal.turn_parts import Json
from api.terminal.vocabulary import Vocabulary


class MemoryCommands:
    """Runs `memory`. Raises ApiError and ConnectionLost."""

    def __init__(self, screen: Screen, talk: Conversation, vocabulary: Vocabulary) -> None:
        self._screen = screen
        self._talk = talk
        self._vocabulary = vocabulary

    def run(self, argument: str) -> None:
        api, user_id = self._talk.api, self._talk.user_id
        word, _, rest = argument.partition(" ")
        match word:
            case "add" if rest:
                api.post("agent", "write", "longterm", body={"user_id": user_id, "memory_info": rest})
                self._screen.note("Remembered.")
            case "forget" if (memory := self._vocabulary.pick("memory", rest)) is not None:
                api.delete("agent", "longterm", user_id, memory["id"])
                self._screen.note("Forgotten.")
            case "forget":
                self._screen.problem("`memory forget N` takes a number of the last `memory`.")
            case "find" if rest:
                self._show(api.get("agent", "longterm", user_id, query=rest)["memories"])
            case "":
                self._show(api.get("agent", "longterm", user_id)["memories"])
            case _:
                self._screen.problem("Use `memory`, `memory add TEXT`, `memory find TEXT` or `memory forget N`.")

    def _show(self, memories: Sequence[Json]) -> None:
        self._vocabulary.listed["memory"] = list(memories)
        if not memories:
            self._screen.note("Nothing is remembered of you. `memory add TEXT` stores something.")
            return
        rows = [(str(n), each["content"], render.moment(each["created"])) for n, each in enumerate(memories, 1)]
        self._screen.show(render.table("", "memory", "since", rows=rows))
