from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from api.log import configure_logging


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.usefixtures("logging_restored")
def test_a_traceback_says_where_and_not_what_was_said_there(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", as_json=as_json)
    said = " ".join(["my card number is", "4111"])
    try:
        raise ValueError(len(said))
    except ValueError:
        logging.getLogger("anything").exception("it failed")
    written = capsys.readouterr().err
    assert "test_log.py" in written
    assert "4111" not in written.replace('"4111"', "")
