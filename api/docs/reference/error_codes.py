"""The codes of errors: those that callers get, and those of failed attempts."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from api.docs.reference.tables import code, table
from api.http import errors as http_errors
from api.http.errors import ClientDisconnected, status_of_class, type_of_status
from config import errors
from config.errors import AttemptError, ConfigError, SwitchboardError

MODULES = (errors.__name__, http_errors.__name__)
NEVER_SENT = (ConfigError, ClientDisconnected)


def of_callers() -> str:
    """The errors of the API, by status."""
    kinds = [each for each in _kinds(SwitchboardError) if not issubclass(each, (AttemptError, *NEVER_SENT))]
    rows = [
        (str(status), code(kind.code), code(type_of_status(status)), "yes" if _has_time(kind) else "", _meaning(kind))
        for status, kind in sorted(
            ((status_of_class(each), each) for each in kinds), key=lambda row: (row[0], row[1].code)
        )
    ]
    return table(("status", "code", "type", "`Retry-After`", "meaning"), rows)


def of_attempts() -> str:
    """The classes of failed attempts."""
    return table(("class", "meaning"), [(code(each.code), _meaning(each)) for each in _kinds(AttemptError)])


def _kinds(base: type[SwitchboardError]) -> Iterator[type[SwitchboardError]]:
    """The product's error classes in the order of the tree. A class without a code of its own is its base."""
    if base.__module__ in MODULES and "code" in vars(base):
        yield base
    for each in base.__subclasses__():
        yield from _kinds(each)


def _has_time(kind: type[SwitchboardError]) -> bool:
    return any(hasattr(each, "retry_after") or "retry_after" in _parameters(each) for each in kind.__mro__)


def _parameters(kind: type) -> tuple[str, ...]:
    own = vars(kind).get("__init__")
    return tuple(inspect.signature(own).parameters) if inspect.isfunction(own) else ()


def _meaning(kind: type[SwitchboardError]) -> str:
    """The first sentence of the docstring."""
    text = " ".join((inspect.getdoc(kind) or "").split())
    return f"{text.partition('. ')[0].rstrip('.')}."
