"""The command `task`: turns in the background."""

from __future__ import annotations

from api.terminal import render
from api.terminal.conversation import Conversation
from api.terminal.screen import Screen
from api.terminal.turns import Turns
from api.terminal.vocabulary import Vocabulary


class TaskCommands:
    """Runs `task`. Raises ApiError and ConnectionLost."""

    def __init__(self, screen: Screen, talk: Conversation, turns: Turns, vocabulary: Vocabulary) -> None:
        self._screen = screen
        self._talk = talk
        self._turns = turns
        self._vocabulary = vocabulary

    def run(self, argument: str) -> None:
        word, _, rest = argument.partition(" ")
        match word:
            case "":
                self._list()
            case "run" if rest:
                self._submit(rest)
            case "show" if rest:
                self._show(self._id(rest))
            case "cancel" if rest:
                task = self._talk.api.delete("agent", "task", self._id(rest))
                self._screen.note(f"Task {task['task_id']}: {task['status']}.")
            case _:
                self._screen.problem("Use `task`, `task run TEXT`, `task show N` or `task cancel N`.")

    def _submit(self, query: str) -> None:
        task = self._talk.submit(query)
        self._vocabulary.listed.setdefault("task", []).insert(0, task)
        self._screen.note(f"Task {task['task_id']} runs in the background. `task show 1` follows it.")

    def _list(self) -> None:
        tasks = self._talk.api.get("agent", "tasks", self._talk.user_id)["tasks"]
        self._vocabulary.listed["task"] = tasks
        if not tasks:
            self._screen.note("You have no tasks. `task run TEXT` starts one.")
            return
        rows = [
            (str(n), each["task_id"], each["status"], render.moment(each.get("created")))
            for n, each in enumerate(tasks, 1)
        ]
        self._screen.show(render.table("", "task", "status", "created", rows=rows))

    def _show(self, task_id: str) -> None:
        """Follow the task to its end, in its session: its reviews are answered there."""
        task = self._talk.api.get("agent", "task", task_id)
        if task["session_id"] != self._talk.session_id:
            self._talk.open(task["session_id"])
            self._screen.note(f"Opened {task['session_id']}, the session of the task.")
        self._screen.note(f"Task {task_id}: {task['status']}.")
        self._turns.watch(self._talk.follow_task(task_id))

    def _id(self, name: str) -> str:
        task = self._vocabulary.pick("task", name)
        return str(task["task_id"]) if task is not None else name
