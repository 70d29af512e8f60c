"""models.yaml in the console: its text, the problems of an edited text, and saving it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from api.console.hidden_environment import hidden_environment, readable, reference_keys
from api.console.hidden_values import PLACEHOLDER, hide, restore
from api.http.errors import EditingDisabled, FileChanged, InvalidBody
from config.models.models_file import check_models
from config.settings import load_environment


@dataclass(frozen=True, slots=True)
class ModelsFile:
    """All methods read and write files: call them in a thread. `editable` allows `save`."""

    path: Path
    editable: bool

    def show(self) -> dict[str, Any]:
        """The text, without the secrets that it may contain, and its problems."""
        text = self._read()
        return {
            "path": self.path.name,
            "text": hide(text),
            "version": _version(text),
            "editable": self.editable,
            "problems": self._problems(None),
        }

    def check(self, edited: str) -> list[dict[str, Any]]:
        """The problems of an edited text, `{severity, line, message}` each.

        The placeholders of secrets stay in it, and variables have no values, so that no message can quote a secret.
        """
        return self._problems(edited)

    def save(self, edited: str, version: str) -> None:
        """Replace the file at once, and keep the old one beside it, as `models.yaml.bak`.

        Raises:
            EditingDisabled: this server does not allow it, or the file system does not.
            FileChanged: the file has changed since the caller read it as `version`.
            InvalidBody: the text has errors.
        """
        if not self.editable:
            raise EditingDisabled("The console may not save files. Set SWITCHBOARD_CONSOLE_EDIT=true to allow it.")
        old = self._read()
        if _version(old) != version:
            raise FileChanged("The file has changed since you opened it. Load it again, and repeat your changes.")
        text = restore(edited, old)
        if errors := _errors(self.check(edited)):
            raise InvalidBody(f"The text has {len(errors)} errors; the first: {errors[0]['message']}", param="text")
        if unknown := PLACEHOLDER.search(text):
            raise InvalidBody(f"{unknown[0]} stands for no value of this file. Write the value itself.", param="text")
        if _errors(self._problems(text)):
            raise InvalidBody("The text has errors once the hidden values are in it.", param="text")
        path = self.path.resolve()  # a link stays a link
        try:
            _replace(path.with_name(f"{path.name}.bak"), old, mode_of=path)
            _replace(path, text, mode_of=path)
        except OSError as exc:
            raise EditingDisabled(f"The server cannot write {self.path.name}: {exc.strerror}.") from exc

    def _problems(self, text: str | None) -> list[dict[str, Any]]:
        registry, problems = check_models(self.path, hidden_environment(load_environment()), text)
        references = reference_keys(self._read() if text is None else text)
        found: list[dict[str, Any]] = [
            {"severity": "error", "line": each.line, "message": ": ".join(filter(None, (each.key, each.message)))}
            for each in problems
            if each.key not in references
        ]
        found += [{"severity": "warning", "line": None, "message": each} for each in registry.warnings]
        return [each | {"message": readable(each["message"])} for each in found]

    def _read(self) -> str:
        try:
            return self.path.read_bytes().decode("utf-8-sig", errors="replace")
        except FileNotFoundError:
            return ""


def _errors(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in problems if each["severity"] == "error"]


def _version(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _replace(path: Path, text: str, mode_of: Path) -> None:
    """Write `text` to `path` so that a reader finds the old file or the new one, and nothing in between."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if mode_of.exists():
            os.chmod(name, mode_of.stat().st_mode & 0o777)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
