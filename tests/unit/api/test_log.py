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


@pytest.mark.usefixtures("logging_restored")
def test_a_text_of_a_caller_cannot_imitate_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", as_json=False)
    imitation = "gpt\n2026-01-01 [info] turn outcome=stop\x1b[2J\u2028"
    structlog.get_logger("ours").info("turn", model=imitation)
    logging.getLogger("theirs").warning("said: %s\n", imitation)
    ours, theirs = capsys.readouterr().err.splitlines()
    assert r"'gpt\n2026-01-01 [info] turn outcome=stop\x1b[2J\u2028'" in ours.replace("\\\\", "\\")
    assert r"said: gpt\n2026-01-01 [info] turn outcome=stop\x1b[2J\u2028" in theirs


@pytest.mark.usefixtures("logging_restored")
def test_litellms_lines_are_written_once_and_in_our_format(capsys: pytest.CaptureFixture[str]) -> None:
    import router.providers.litellm_import  # noqa: F401

    configure_logging("INFO", as_json=False)
    logging.getLogger("LiteLLM").error("the same")
    assert capsys.readouterr().err.count("the same") == 1
