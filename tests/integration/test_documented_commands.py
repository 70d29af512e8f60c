"""Every command and example of README and docs/, in order, as a reader runs it: servers stay up, the others must
succeed, and print what the document says. One server, that of `make run`, serves all documents.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.document_reader import Reader, Repository, steps

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FIRST_RUN = f"{sys.executable} -m config.first_run"
TOKEN = "export TOKEN=$(sed -n 's/^SWITCHBOARD_API_TOKENS=//p' .env)"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """What `make run` does after the installation."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    reader = Reader(repository)
    try:
        reader.take("sh", FIRST_RUN)
        reader.take("sh", ".venv/bin/switchboard serve --port 8000")
        yield repository
    finally:
        reader.close()


@pytest.fixture
def reader(repository: Repository) -> Iterator[Reader]:
    reader = Reader(repository)
    reader.take("sh", TOKEN)
    try:
        yield reader
    finally:
        reader.close()
        (repository.folder / "callers.yaml").unlink(missing_ok=True)  # `check` of another document would read it


@pytest.mark.parametrize(
    "document", [each for each in DOCUMENTS if any(steps(each))], ids=lambda each: str(each.relative_to(ROOT))
)
def test_the_commands_of_a_document_work_in_order(reader: Reader, document: Path) -> None:
    for kind, text in steps(document):
        reader.take(kind, text)
    assert not reader.failed, reader.output


def test_make_run_serves() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    assert "run: $(READY) .env\n\t@$(BIN)/switchboard serve\n" in text and "config.first_run" in text


def test_an_output_that_is_not_as_documented_is_found(repository: Repository) -> None:
    reader = Reader(repository)
    reader.take("sh", 'echo "one two three"')
    reader.take("text", "one…three\n")
    reader.take("sh", "echo one")
    with pytest.raises(AssertionError, match="two"):
        reader.take("text", "two\n")
    reader.take("sh", f"curl http://127.0.0.1:{repository.ports['8000']}/nowhere")
    with pytest.raises(AssertionError, match="does not say so"):
        reader.take("sh", "echo")
