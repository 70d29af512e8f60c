"""The first run creates .env."""

import stat
from pathlib import Path

import pytest

from config.first_run import create_env_file, main
from config.settings import load_settings

EXAMPLE = "# about tokens\nSWITCHBOARD_API_TOKENS=\nOPENAI_API_KEY=\n"


def test_the_file_is_the_example_with_a_new_token_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "example").write_text(EXAMPLE)
    for name in ("one", "two"):
        create_env_file(tmp_path / name, tmp_path / "example")
    one, two = (load_settings(tmp_path / name).api_tokens[0].get_secret_value() for name in ("one", "two"))
    assert one != two and len(one) >= 32
    assert (tmp_path / "one").read_text() == EXAMPLE.replace("TOKENS=", f"TOKENS={one}")
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600


def test_an_example_without_the_line_gets_a_token_too(tmp_path: Path) -> None:
    (tmp_path / "example").write_text("OPENAI_API_KEY=\n")
    create_env_file(tmp_path / ".env", tmp_path / "example")
    assert load_settings(tmp_path / ".env").api_tokens


def test_it_says_where_the_token_is_but_not_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env.example").write_text(EXAMPLE)
    main()
    said = capsys.readouterr().out
    token = load_settings(tmp_path / ".env").api_tokens[0].get_secret_value()
    assert ".env" in said and "SWITCHBOARD_API_TOKENS" in said and token not in said


def test_a_file_that_is_there_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env.example").write_text(EXAMPLE)
    (tmp_path / ".env").write_text("mine")
    main()
    assert (tmp_path / ".env").read_text() == "mine"
    assert "is unchanged" in capsys.readouterr().out


def test_without_the_example_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"\.env\.example is missing"):
        main()
    assert not (tmp_path / ".env").exists()
