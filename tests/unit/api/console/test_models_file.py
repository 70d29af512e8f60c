"""models.yaml in the console: shown, checked and saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.console.models_file import ModelsFile
from api.http.errors import EditingDisabled, FileChanged, InvalidBody

TEXT = "model_list:\n- model_name: a\n  litellm_params: {model: openai/gpt-4o, api_key: sk-secret}\n"


@pytest.fixture
def file(tmp_path: Path) -> ModelsFile:
    path = tmp_path / "models.yaml"
    path.write_text(TEXT)
    path.chmod(0o640)
    return ModelsFile(path, editable=True)


def test_the_text_is_shown_without_its_secrets(file: ModelsFile) -> None:
    shown = file.show()
    assert (shown["path"], shown["editable"], shown["problems"]) == ("models.yaml", True, [])
    assert "sk-secret" not in shown["text"]


def test_problems_have_a_line_and_no_secret(file: ModelsFile) -> None:
    edited = file.show()["text"].replace("model: openai/gpt-4o", 'model: "<hidden-1>"') + "rooter_settings: {}\n"
    problems = file.check(edited)
    assert {each["line"] for each in problems if each["severity"] == "error"} == {3, 4}
    assert "sk-secret" not in str(problems)


def test_saving_keeps_the_secrets_the_mode_and_the_old_file(file: ModelsFile) -> None:
    shown = file.show()
    file.save(f"# new\n{shown['text']}", shown["version"])
    assert file.path.read_text() == f"# new\n{TEXT}"
    assert file.path.stat().st_mode & 0o777 == 0o640
    backup = file.path.with_name("models.yaml.bak")
    assert (backup.read_text(), backup.stat().st_mode & 0o777) == (TEXT, 0o640)
    assert sorted(each.name for each in file.path.parent.iterdir()) == ["models.yaml", "models.yaml.bak"]


def test_a_link_stays_a_link(file: ModelsFile, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(file.path)
    linked = ModelsFile(link, editable=True)
    linked.save(f"# new\n{TEXT}", linked.show()["version"])
    assert link.is_symlink()
    assert file.path.read_text() == f"# new\n{TEXT}"


def test_what_must_not_be_saved_is_refused(file: ModelsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    version = file.show()["version"]
    with pytest.raises(EditingDisabled, match="SWITCHBOARD_CONSOLE_EDIT"):
        ModelsFile(file.path, editable=False).save(TEXT, version)
    with pytest.raises(FileChanged):
        file.save(TEXT, "another version")
    with pytest.raises(InvalidBody, match="1 errors; the first: rooter_settings"):
        file.save(f"{TEXT}rooter_settings:\n", version)

    with pytest.raises(InvalidBody, match=r'"<hidden-2>" stands for no value'):
        file.save(file.show()["text"].replace("hidden-1", "hidden-2"), version)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(EditingDisabled, match=r"cannot write models\.yaml: Permission denied"):
        file.save(TEXT, version)
    monkeypatch.undo()
    assert [each.name for each in file.path.parent.iterdir()] == ["models.yaml"]
    assert file.path.read_text() == TEXT


def test_a_file_that_is_missing_or_no_text_is_shown_with_its_problem(file: ModelsFile) -> None:
    file.path.write_bytes(b"model_list: [\xff]\n")
    assert "not UTF-8" in file.show()["problems"][0]["message"]
    file.path.unlink()
    assert (file.show()["text"], "does not exist" in file.show()["problems"][0]["message"]) == ("", True)


REFERENCE = "os.environ/DATABASE_PASSWORD"
REFERRING = f"""
model_list:
- model_name: {REFERENCE}
  litellm_params: {{model: {REFERENCE}, rpm: {REFERENCE}, fallbacks: [{{model: {REFERENCE}}}]}}
  model_info: {{mode: {REFERENCE}, id: {REFERENCE}}}
- model_name: b
  litellm_params: {{model: os.environ/FROM_HERE, api_base: {REFERENCE}, rpm: many}}
  model_info: {{id: {REFERENCE}, mode: {REFERENCE}}}
router_settings:
  fallbacks: [{{b: [{REFERENCE}]}}]
  model_group_alias: {{c: {REFERENCE}}}
  default_model: {REFERENCE}
environment_variables: {{FROM_HERE: {REFERENCE}}}
"""


def test_an_edited_text_cannot_read_the_environment(file: ModelsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "postgresql://pgbouncer:hunter2@db/x")
    problems = file.check(REFERRING)
    assert any("rpm" in each["message"] for each in problems)
    told = str(problems)
    assert not [each for each in ("postgresql", "hunter2", "pgbouncer", "environment.invalid") if each in told], told


def test_what_a_variable_holds_is_no_problem(file: ModelsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPM", "60")
    monkeypatch.setenv("MODEL", "openai/gpt-4.1")
    assert not file.check(TEXT.replace("openai/gpt-4o", "os.environ/MODEL, rpm: os.environ/RPM"))
