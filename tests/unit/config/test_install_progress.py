"""The line of progress while the packages are installed."""

import io
import sys

import pytest

from config.install_progress import install

PIP = "print('Collecting a==1'); print('Ignoring b: markers do not match'); print('Installing collected packages: a')"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def installed(code: str, out: io.StringIO) -> tuple[int, str]:
    return install([sys.executable, "-c", code], 2, out), out.getvalue()


def test_a_terminal_sees_the_count_and_then_the_end() -> None:
    code, said = installed(PIP, Terminal())
    assert code == 0
    assert [each.strip() for each in said.split("\r") if each.strip()] == [
        "Installing 2 packages into .venv, once. This takes a minute or two.",
        "1 of 2",
        "2 of 2",
        "writing the files",
        "Installed.",
    ]


@pytest.mark.parametrize(
    ("pip", "code", "last"), [(PIP, 0, "Installed."), ("exit('no such wheel')", 1, "no such wheel")]
)
def test_a_log_gets_two_lines_and_the_words_of_a_failure(pip: str, code: int, last: str) -> None:
    assert installed(pip, io.StringIO()) == (
        code,
        f"Installing 2 packages into .venv, once. This takes a minute or two.\n{last}\n" + "\n" * (code != 0),
    )
