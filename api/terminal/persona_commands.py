"""The command `persona`: agents with a character of their own."""

from __future__ import annotations

from api.terminal import render
from api.terminal.conversation import Conversation
from api.terminal.screen import Screen
from api.terminal.turn_parts import Json
from api.terminal.vocabulary import Vocabulary


class PersonaCommands:
    """Runs `persona`. Raises ApiError and ConnectionLost."""

    def __init__(self, screen: Screen, talk: Conversation, vocabulary: Vocabulary) -> None:
        self._screen = screen
        self._talk = talk
        self._vocabulary = vocabulary

    def run(self, argument: str) -> None:
        if argument == "off":
            self._talk.persona = None
            self._talk.begin_new()
            self._screen.note("Began a new session, without a persona.")
            return
        personas: list[Json] = self._talk.api.get("agents", "get-agents")
        if not argument:
            self._list(personas)
            return
        named = [each for each in personas if argument in (each.get("id"), each.get("name"))]
        persona = self._vocabulary.pick("persona", argument) or next(iter(named), None)
        if persona is None:
            self._screen.problem(f"There is no persona {argument}. `persona` lists them.")
            return
        self._talk.persona = persona
        self._talk.begin_new()
        self._screen.note(f"Began a new session with {render.persona_name(persona)}.")
        if first := persona.get("first_message"):
            self._screen.show(render.markdown(str(first)))

    def _list(self, personas: list[Json]) -> None:
        self._vocabulary.listed["persona"] = personas
        if not personas:
            self._screen.note("There are no personas yet. POST /agents/create-agent makes one.")
            return
        chosen = (self._talk.persona or {}).get("id")
        rows = [
            (f"{n}{'*' if each['id'] == chosen else ''}", render.persona_name(each), each.get("context") or "")
            for n, each in enumerate(personas, 1)
        ]
        self._screen.show(render.table("", "persona", "character", rows=rows))
        self._screen.note("`persona N` begins a session with one, `persona off` one without.")
