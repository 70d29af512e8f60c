"""`switchboard init` writes files from which a server starts."""

import stat
from pathlib import Path

import pytest

from config.models.models_file import load_models
from config.profile.agent_file import load_agent
from config.settings import load_settings
from config.starter_files import write_starter_files

ROOT = Path(__file__).parents[3]


def written(folder: Path, *, force: bool = False) -> list[str]:
    return list(write_starter_files(folder, force=force))


def test_a_server_can_start_from_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWITCHBOARD_AGENT_FILE", raising=False)
    assert written(Path()) == ["wrote    models.yaml", "wrote    agent.yaml", "wrote    .env"]
    settings = load_settings()
    assert settings.api_tokens and settings.agent_file == Path("agent.yaml")
    assert load_models(settings.models_file, {}).default_group() == "fake"
    assert load_agent(settings.agent_file).system_prompt
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert "docs/models.schema.json" not in (tmp_path / "models.yaml").read_text()


def test_files_that_exist_are_kept(tmp_path: Path) -> None:
    for name in ("models.yaml", "agent.yaml", ".env"):
        (tmp_path / name).write_text("MINE=1")
    said = written(tmp_path)
    assert said[:3] == [
        f"kept     {each}: it exists; --force replaces it" for each in ("models.yaml", "agent.yaml", ".env")
    ]
    assert said[3:] == ["To use agent.yaml, add SWITCHBOARD_AGENT_FILE=agent.yaml to .env."]
    assert {(tmp_path / name).read_text() for name in ("models.yaml", "agent.yaml", ".env")} == {"MINE=1"}


def test_force_replaces_them_and_keeps_the_old_ones_beside(tmp_path: Path) -> None:
    written(tmp_path)
    old = (tmp_path / ".env").read_text()
    assert "replaced .env: the old one is .env.bak" in written(tmp_path, force=True)
    assert (tmp_path / ".env.bak").read_text() == old != (tmp_path / ".env").read_text()
    assert stat.S_IMODE((tmp_path / ".env.bak").stat().st_mode) == 0o600


def test_the_files_are_those_of_the_repository() -> None:
    for name, source in (("models.yaml", "models.yaml"), ("env.example", ".env.example")):
        assert (ROOT / "config/starter" / name).read_bytes() == (ROOT / source).read_bytes()
