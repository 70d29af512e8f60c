"""Runs turns from the message to the end, with all reviews on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from api.terminal import render
from api.terminal.agent_api import ApiError
from api.terminal.conversation import Conversation
from api.terminal.review_dialogue import ReviewDialogue
from api.terminal.screen import Screen
from api.terminal.turn_parts import Json, Outcome, outcome_of_status, pending_in, settled
from api.terminal.updates import Update

DECIDED: Final = "The call has been decided since. `history` shows what came of it."
CUT_OFF: Final = "The answer was stopped. `history` shows what came of it."


class Turns:
    """The turns of a conversation. `failed`: one of them did not end well."""

    def __init__(self, screen: Screen, talk: Conversation, dialogue: ReviewDialogue) -> None:
        self._screen = screen
        self._talk = talk
        self._dialogue = dialogue
        self.failed = False

    def ask(self, message: str) -> None:
        """Send a message. Raises ApiError, and KeyboardInterrupt once the turn is cancelled."""
        try:
            outcome = self._run(self._talk.ask(message))
        except ApiError as error:
            if error.code != "review_pending":
                raise
            self._screen.problem("The session waits for a decision first. Your message was not sent.")
            self._screen.space()
            outcome = outcome_of_status(self._talk.status())
        self._finish(outcome)

    def restore(self, status: Json) -> None:
        """Show where the session stands, and go on with what waits."""
        if query := status.get("last_query"):
            self._screen.show(render.last_query(str(query), status.get("last_updated")))
        if status.get("status") == "running":
            self._finish(self._run(self._talk.follow()))
            return
        outcome = outcome_of_status(status)
        self._screen.show_parts(settled(outcome.parts) if outcome.interrupts else outcome.parts)
        self._screen.space()
        self._finish(outcome)

    def watch(self, updates: Iterator[Update]) -> None:
        """Show a turn that goes on when the user stops watching. Its reviews may have been answered since."""
        outcome = self._screen.follow(updates)
        if outcome.interrupts:
            waiting = [each.get("interrupt_id") for each in pending_in(self._talk.status())]
            outcome = replace(
                outcome, interrupts=[each for each in outcome.interrupts if each.get("interrupt_id") in waiting]
            )
            if not outcome.interrupts:
                self._screen.note(DECIDED)
        self._finish(outcome)

    def review(self, status: Json) -> None:
        """Ask for the decisions that the session waits for."""
        if pending_in(status):
            self._finish(outcome_of_status(status))

    def _run(self, updates: Iterator[Update]) -> Outcome:
        try:
            return self._screen.follow(updates)
        except KeyboardInterrupt:
            self._talk.cancel()
            raise

    def _finish(self, outcome: Outcome) -> None:
        while outcome.status == "interrupted" and outcome.interrupts:
            outcome = self._decide(outcome.interrupts)
        if outcome.status == "error":
            self.failed = True
            self._screen.problem(outcome.words or "The turn failed.")
            self._screen.space()
        elif outcome.status == "idle":
            self._screen.note(CUT_OFF)
            self._screen.space()

    def _decide(self, interrupts: Sequence[Json]) -> Outcome:
        """Ask for one decision and run the rest of the turn. A refused decision is asked for again."""
        first = interrupts[0]
        decision = self._dialogue.decide(first, len(interrupts))
        while True:
            try:
                return self._run(self._talk.decide(first, decision.response_type, decision.args))
            except ApiError as error:
                if error.code == "not_pending":
                    self._screen.note("The call has been decided elsewhere.")
                    return outcome_of_status(self._talk.status())
                if error.status not in (400, 422):
                    raise
                self._screen.problem(str(error))
            if decision.response_type == "edit":
                decision = self._dialogue.edit(first, decision.args)
            else:
                decision = self._dialogue.decide(first, len(interrupts))
