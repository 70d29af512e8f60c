"""callers.yaml: what it means, and how its problems are told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.callers.caller import Caller, Callers, LiveCallers, token_hash
from config.callers.callers_file import check_callers, load_callers, unknown_models
from config.callers.new_token import add_entry, new_token
from config.errors import ConfigError

HASH, OTHER = token_hash("one"), token_hash("two")


def file_of(folder: Path, text: str) -> Path:
    file = folder / "callers.yaml"
    file.write_text(text)
    return file


def problems_of(folder: Path, text: str) -> list[str]:
    callers, problems = check_callers(file_of(folder, text))
    assert callers is None
    return [str(each).removeprefix(f"{folder}/") for each in problems]


def test_an_entry_says_what_its_caller_may_do(tmp_path: Path) -> None:
    text = f"""callers:
  - {{name: plain, token_hash: "{HASH.upper().replace("SHA256", "sha256")}"}}
  - name: limited
    token_hash: {OTHER}
    models: [gpt-4o, "fast-*"]
    requests_per_minute: 60
    tokens_per_minute: 1000
    parallel_turns: 2
    monthly_budget: 0.5
    expires: 2030-12-31
    users: own
"""
    plain, limited = load_callers(file_of(tmp_path, text)).by_name.values()
    assert plain == Caller("plain", HASH)
    end = datetime(2030, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert limited == Caller("limited", OTHER, ("gpt-4o", "fast-*"), 60, 1000, 2, 0.5, end, own_users=True)
    assert limited.limits_usage and not plain.limits_usage


@pytest.mark.parametrize(
    "limit",
    [
        "requests_per_minute: 0",
        "tokens_per_minute: -1",
        "parallel_turns: 1.5",
        "monthly_budget: -1",
        "parallel_turns: yes",
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(tmp_path: Path, limit: str) -> None:
    (problem,) = problems_of(tmp_path, f"callers:\n  - name: a\n    token_hash: {HASH}\n    {limit}\n")
    assert problem.startswith(f"callers.yaml:4: callers[0].{limit.partition(':')[0]}: must be ")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2030-01-01T12:00:00", datetime(2030, 1, 1, 12, tzinfo=UTC)),
        ("2030-01-01T12:00:00+02:00", datetime(2030, 1, 1, 10, tzinfo=UTC)),
        ("'2030-01-01 12:00'", datetime(2030, 1, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_token_may_expire_at_a_time(tmp_path: Path, said: str, meant: datetime) -> None:
    text = f"callers: [{{name: a, token_hash: '{HASH}', expires: {said}}}]"
    expires = load_callers(file_of(tmp_path, text)).by_name["a"].expires
    assert expires == meant and expires.tzinfo is UTC


def test_the_last_day_of_all_is_a_day(tmp_path: Path) -> None:
    text = f"callers: [{{name: a, token_hash: '{HASH}', expires: 9999-12-31}}]"
    assert not load_callers(file_of(tmp_path, text)).by_name["a"].has_expired()


@pytest.mark.parametrize(
    "said", ["20301231", "2030", "1924905600", "2030.5", "[]", "true", "0001-01-01T00:00:00+14:00"]
)
def test_a_number_is_no_day(tmp_path: Path, said: str) -> None:
    (problem,) = problems_of(tmp_path, f"callers:\n  - name: a\n    token_hash: {HASH}\n    expires: {said}\n")
    assert problem.startswith("callers.yaml:4: callers[0].expires: must be a day, such as 2030-12-31, or a time")


def test_every_problem_has_its_line_and_key_and_quotes_no_token(tmp_path: Path) -> None:
    text = f"""callers:
  - name: a b
    token_hash: sb-the-token-itself
    model: [x]
  - name: agent
    token_hash: {HASH}
    expires: soon
    users: mine
  - name: same
  - {{name: same, token_hash: "{HASH}"}}
"""
    found = problems_of(tmp_path, text)
    assert [each.partition(": ")[0] + " " + each.split(": ")[1] for each in found] == [
        "callers.yaml:2 callers[0].name",
        "callers.yaml:3 callers[0].token_hash",
        "callers.yaml:4 callers[0].model",
        "callers.yaml:5 callers[1].name",
        "callers.yaml:7 callers[1].expires",
        "callers.yaml:8 callers[1].users",
        "callers.yaml:9 callers[2].token_hash",
        "callers.yaml:10 callers[3].name",
        "callers.yaml:10 callers[3].token_hash",
    ]
    assert "did you mean 'models'?" in found[2] and "see line 9" in found[7] and "see line 6" in found[8]
    assert "the-token-itself" not in str(found)


@pytest.mark.parametrize("text", ["", "[]", "callers: 5", "caller: []", "callers:\n  - [", "callers:"])
def test_a_file_that_is_no_list_of_callers_is_refused(tmp_path: Path, text: str) -> None:
    assert problems_of(tmp_path, text)


def test_a_name_of_the_statistics_is_no_name_of_a_caller(tmp_path: Path) -> None:
    for name in ("agent", "other", "0123456789ab"):
        assert problems_of(tmp_path, f"callers: [{{name: '{name}', token_hash: '{HASH}'}}]")


@pytest.mark.parametrize(
    ("patterns", "name", "allowed"),
    [
        (None, "anything", True),
        ((), "anything", False),
        (("gpt-4o",), "gpt-4o", True),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("fast-*",), "fast-1", True),
        (("fast-*",), "not-fast-1", False),
        (("agent:*",), "agent:sales", True),
        (("a.c", "x"), "abc", False),
        (("*",), "agent:a\nb", True),
    ],
)
def test_models_are_allowed_by_name_or_pattern(patterns: tuple[str, ...] | None, name: str, allowed: bool) -> None:
    assert Caller("a", HASH, patterns).may_use(name) is allowed


def test_two_callers_with_users_of_their_own_never_share_one() -> None:
    one, other = Caller("a", HASH, own_users=True), Caller("a.b", OTHER, own_users=True)
    assert one.stored_user("b:c") == "a:b:c" and other.stored_user("b:c") == "a.b:b:c"
    assert Caller("all", HASH).stored_user("ann") == "ann"


def test_a_model_that_does_not_exist_is_a_warning_with_the_nearest_name() -> None:
    callers = Callers([Caller("a", HASH, ("gpt-4", "x*", "agent:y", "gpt-4o"))])
    assert list(unknown_models(callers, ["gpt-4o"])) == [
        "callers.yaml: a may use 'gpt-4', which is no model; did you mean 'gpt-4o'?"
    ]


@pytest.mark.parametrize(
    "before",
    [
        None,
        "",
        "callers: []  # none yet\n",
        "# Ours.\ncallers:\n",
        f"callers:\n- {{name: first, token_hash: '{HASH}'}}",
        f"callers:\n    # The first.\n    - name: first\n      token_hash: {HASH}\n    # The end.\n",
    ],
)
def test_a_new_entry_is_added_and_the_rest_of_the_file_stays(tmp_path: Path, before: str | None) -> None:
    file = tmp_path / "callers.yaml"
    if before is not None:
        file.write_text(before)
    token = new_token()
    add_entry(file, "new", token)
    callers = load_callers(file)
    assert callers.by_name["new"].token_hash == token_hash(token)
    assert ("first" in callers.by_name) is ("first" in (before or ""))
    for line in (before or "").replace(" []", "").splitlines():
        assert line.split("#")[-1] in file.read_text()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "before",
    [
        f"callers:\n  - {{name: new, token_hash: '{HASH}'}}\n",
        f"callers: [{{name: old, token_hash: '{HASH}'}}]\n",
        "callers:\n  - {name: old}\n",
    ],
)
def test_a_file_to_which_nothing_can_be_added_stays_as_it_is(tmp_path: Path, before: str) -> None:
    file = file_of(tmp_path, before)
    with pytest.raises(ConfigError):
        add_entry(file, "new", new_token())
    assert file.read_text() == before and list(tmp_path.iterdir()) == [file]


def test_a_caller_that_was_removed_may_do_nothing_and_an_operator_everything() -> None:
    live = LiveCallers(Callers([Caller("here", HASH)]))
    assert live.may_use("here", "gpt-4o") and live.owner("here") is None
    assert not live.may_use("gone", "gpt-4o") and live.owner("gone") == "gone"
    removed = live.get("gone")
    assert removed is not None and removed.has_expired()
    for operator in (None, "0123456789ab"):
        assert live.get(operator) is None and live.may_use(operator, "gpt-4o")
    assert LiveCallers().may_use("gone", "gpt-4o")  # without callers.yaml, nobody is limited


def test_users_of_its_own_have_the_name_of_their_caller() -> None:
    web, everybody = Caller("web", HASH, own_users=True), Caller("app", OTHER)
    assert web.stored_user("ann") == "web:ann" and web.shown_user("web:ann:2") == "ann:2"
    assert [web.shown_user(each) for each in ("ann", "app:ann", "webb:ann", "web")] == [None] * 4
    assert everybody.stored_user("ann") == everybody.shown_user("ann") == "ann"
    assert everybody.shown_user("web:ann") == "web:ann"
