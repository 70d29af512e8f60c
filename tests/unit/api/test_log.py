from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from api.log import configure_logging
from config.log_content import allow_content


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    yield
    root.handlers[:], root.level = handlers, level
    allow_content(False)


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


SENTENCE = "my card number is 4111"


def raise_with_causes() -> None:
    try:
        try:
            raise KeyError(SENTENCE)
        except KeyError as exc:
            raise ConnectionRefusedError(111, "Connection refused", SENTENCE) from exc
    except OSError:
        raise ExceptionGroup(SENTENCE, [ValueError(SENTENCE)])  # noqa: B904


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("log_content", [False, True])
@pytest.mark.usefixtures("logging_restored")
def test_texts_of_exceptions_show_only_with_content(
    as_json: bool, log_content: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("INFO", as_json=as_json, log_content=log_content)
    for log in (logging.getLogger("anything"), structlog.get_logger("ours")):
        try:
            raise_with_causes()
        except ExceptionGroup:
            log.exception("it_failed")
        written = capsys.readouterr().err
        assert (SENTENCE in written) is log_content
        for expected in (
            "Traceback",
            "in raise_with_causes",
            "builtins.KeyError",
            "Connection refused",
            "ValueError",
            "which led to",
        ):
            assert expected in written, expected


@pytest.mark.parametrize(
    ("name", "message", "kept"),
    [
        ("LiteLLM", f"the request was {SENTENCE}", "test_log.py"),
        ("langgraph.pregel", f"{SENTENCE}", "langgraph.pregel"),
        (
            "asyncio",
            f"Task exception was never retrieved\nfuture: <Task {SENTENCE}>",
            "Task exception was never retrieved",
        ),
        ("py.warnings", f"/x/y.py:7: UserWarning: {SENTENCE}\n  source", "/x/y.py:7: UserWarning:"),
    ],
)
@pytest.mark.usefixtures("logging_restored")
def test_libraries_that_quote_show_only_where(
    name: str, message: str, kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("INFO", as_json=False)
    logging.getLogger(name).error(message)
    written = capsys.readouterr().err
    assert kept in written and SENTENCE not in written
    configure_logging("INFO", as_json=False, log_content=True)
    logging.getLogger(name).error(message)
    assert SENTENCE in capsys.readouterr().err


@pytest.mark.usefixtures("logging_restored")
def test_at_the_level_debug_only_our_own_lines_show(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG", as_json=False)
    structlog.get_logger("router.anything").debug("ours")
    logging.getLogger("some.library").debug("theirs")
    written = capsys.readouterr().err
    assert "ours" in written and "theirs" not in written


@pytest.mark.usefixtures("logging_restored")
def test_litellms_lines_are_written_once_and_in_our_format(capsys: pytest.CaptureFixture[str]) -> None:
    import router.providers.litellm_import  # noqa: F401

    configure_logging("INFO", as_json=False, log_content=True)
    logging.getLogger("LiteLLM").error("the same")
    assert capsys.readouterr().err.count("the same") == 1
