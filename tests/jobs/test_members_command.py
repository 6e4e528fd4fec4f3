"""The team, its tokens and the audit chain by command line."""

import builtins
import json
import sys
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest

from loanmetrics.http.tokens import Team, Tokens
from loanmetrics.settings import Settings
from loanmetrics.store.members import access
from loanmetrics.store.session import connect
from tests.jobs.conftest import Cli
from tests.jobs.stored import asked, told

EMAIL = "ada.eze@example.com"
ADD = ("members", "add", EMAIL, "--name", "Ada Eze", "--role", "auditor")


@pytest.fixture
def word(tmp_path: Path) -> tuple[str, str]:
    file = tmp_path / "password"
    file.write_text("correct horse battery\n")
    return "--password-file", str(file)


def test_a_member_is_added_and_listed(run: Cli, database: str, word: tuple[str, str]) -> None:
    code, out, err = run(database, *ADD, "--department", "Audit", *word)
    assert (code, out, err) == (0, "member 1: added as auditor\n", "")
    code, out, _ = run(database, "members", "list")
    assert "Ada Eze" in out
    assert "a***@example.com" in out
    assert EMAIL not in out
    assert EMAIL in run(database, "members", "list", "--full")[1]
    assert asked(
        database, "SELECT member_name, role, department, access_role, is_active FROM team_members"
    ) == [("Ada Eze", "auditor", "Audit", "auditor", True)]


def test_an_empty_team_says_how_to_begin(run: Cli, database: str) -> None:
    code, out, err = run(database, "members", "list")
    assert (code, out) == (0, "")
    assert "loanmetrics members add" in err


def test_a_password_comes_from_a_pipe_too(run: Cli, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\nignored\n"))
    assert run(database, *ADD)[0] == 0


def test_a_password_is_no_argument(run: Cli, database: str) -> None:
    code, _, err = run(database, *ADD, "--password", "correct horse battery")
    assert code == 2
    assert "No such option" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("members", "add", "ada", "--name", "Ada", "--role", "admin"), "this is no e-mail address"),
        (("members", "add", EMAIL, "--name", " ", "--role", "admin"), "the name is empty"),
        (("members", "add", EMAIL, "--name", "Ada", "--role", "root"), "--role"),
        (("members", "disable", "ada"), "this is no e-mail address"),
        (("members", "disable", EMAIL), "no team member has this e-mail address"),
        (("token", EMAIL), "no team member has this e-mail address"),
        (("token", "rotat"), "this is no e-mail address"),
        (("token", EMAIL, "--hours", "721"), "up to 720 hours"),
        (("audit", "history", "O9"), "no officer O9"),
        (("audit", "verify", "--head", "x"), "is no end of a chain"),
    ],
)
def test_what_is_wrong_is_one_line_without_the_address(
    run: Cli, database: str, word: tuple[str, str], words: tuple[str, ...], message: str
) -> None:
    code, out, err = run(database, *words, *(word if "add" in words else ()))
    assert (code in (1, 2), out) == (True, "")
    assert message in err
    assert EMAIL not in err


def test_an_address_is_one_members(run: Cli, database: str, word: tuple[str, str]) -> None:
    assert run(database, *ADD, *word)[0] == 0
    code, _, err = run(database, "members", "add", EMAIL.upper(), "--name", "Eve", "--role", "admin", *word)
    assert (code, "this e-mail address has a member already" in err) == (1, True)


def test_a_short_password_is_refused(run: Cli, database: str, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("short\n")
    code, _, err = run(database, *ADD, "--password-file", str(tmp_path / "short"))
    assert (code, "12 to 1,000 characters" in err) == (2, True)


def test_every_change_of_the_team_is_in_the_chain(run: Cli, database: str, word: tuple[str, str]) -> None:
    assert run(database, *ADD, *word)[0] == 0
    for words in (
        ("disable", EMAIL),
        ("enable", EMAIL),
        ("set-role", EMAIL, "admin"),
        ("set-password", EMAIL, *word),
    ):
        assert run(database, "members", *words)[0] == 0
    rows = asked(
        database,
        "SELECT event, actor LIKE 'user:_%', old_value, new_value FROM audit_tracking"
        " WHERE event LIKE 'member%' ORDER BY audit_id",
    )
    assert rows == [
        ("member_added", True, None, {"member_id": 1, "access_role": "auditor", "is_active": True}),
        ("member_disabled", True, {"member_id": 1, "is_active": True}, {"member_id": 1, "is_active": False}),
        ("member_enabled", True, {"member_id": 1, "is_active": False}, {"member_id": 1, "is_active": True}),
        (
            "member_role_changed",
            True,
            {"member_id": 1, "access_role": "auditor"},
            {"member_id": 1, "access_role": "admin"},
        ),
        ("member_password_set", True, None, {"member_id": 1}),
    ]
    assert asked(database, "SELECT member_version FROM team_members") == [(5,)]


def test_a_token_for_a_script_is_good_and_audited(
    run: Cli, database: str, home: Path, word: tuple[str, str]
) -> None:
    run(database, *ADD, *word)
    code, out, err = run(database, "token", EMAIL, "--hours", "2")
    assert (code, err) == (0, "")
    with connect(database) as connection:
        gate = Tokens(Settings(home=home), Team(lambda: access(connection)))
        assert gate.principal(out.strip()).role == "auditor"
    claims = json.loads(urlsafe_b64decode(out.split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 2 * 3600
    events = asked(database, "SELECT new_value FROM audit_tracking WHERE event = 'token_issued'")
    assert events == [({"member_id": 1, "hours": 2},)]


def test_a_disabled_member_gets_no_token(run: Cli, database: str, word: tuple[str, str]) -> None:
    run(database, *ADD, *word)
    run(database, "members", "disable", EMAIL)
    code, out, err = run(database, "token", EMAIL)
    assert (code, out) == (2, "")
    assert "this member may not come in" in err


def test_after_a_rotation_old_tokens_stand(
    run: Cli, database: str, home: Path, word: tuple[str, str]
) -> None:
    run(database, *ADD, *word)
    before = run(database, "token", EMAIL)[1].strip()
    code, out, _ = run(database, "token", "rotate")
    assert code == 0
    assert asked(database, "SELECT new_value ->> 'kid' FROM audit_tracking WHERE event = 'key_rotated'") == [
        (out.split()[-1],)
    ]
    with connect(database) as connection:
        assert Tokens(Settings(home=home), Team(lambda: access(connection))).principal(before).member_id == 1


def test_a_shared_secret_is_not_rotated_here(
    run: Cli, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOANMETRICS_API_SECRET_FILE", str(tmp_path / "secret"))
    code, _, err = run(database, "token", "rotate")
    assert (code, "put another secret into that file" in err) == (2, True)


@pytest.mark.parametrize(("missing", "words"), [("joserfc", ("token", EMAIL)), ("argon2", ADD)])
def test_what_is_not_installed_is_named(
    run: Cli, database: str, word: tuple[str, str], monkeypatch: pytest.MonkeyPatch, missing: str, words: Any
) -> None:
    from loanmetrics.jobs import passwords

    load = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return load(name, *rest)

    passwords._hasher.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    code, _, err = run(database, *words, *(word if "add" in words else ()))
    assert code == 2
    assert "hint: pip install 'loanmetrics[http]'" in err


def test_a_chain_that_holds_says_where_it_ends(run: Cli, database: str) -> None:
    code, out, _ = run(database, "audit", "verify")
    (last,) = asked(database, "SELECT audit_id, row_hash FROM audit_tracking ORDER BY audit_id DESC LIMIT 1")
    assert code == 0
    assert f"it ends at {last[0]}:{last[1]}\n" in out
    assert run(database, "audit", "verify", "--head", f"{last[0]}:{last[1]}")[0] == 0
    assert run(database, "audit", "verify", "--head", f"{last[0]}:00")[0] == 1


def test_a_broken_chain_exits_1_and_names_the_row(run: Cli, database: str) -> None:
    told(
        database,
        "ALTER TABLE audit_tracking DISABLE TRIGGER ALL; UPDATE audit_tracking SET actor = 'eve' WHERE audit_id = 1",
    )
    code, out, err = run(database, "audit", "verify")
    assert (code, out) == (1, "")
    assert err.startswith("error: the audit chain is broken: row 1 is not as it was written\n")


def test_loads_runs_and_policies_are_in_the_chain(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "holidays.csv").write_text("holiday_date,name\n2026-01-01,New Year\n")
    assert run(small, "load", "holidays.csv")[0] == 0
    assert run(small, "compute", "--as-of", "2026-03-16")[0] == 0
    (tmp_path / "policy.toml").write_text("roll_days = 8\n")
    for _ in range(2):
        assert run(small, "compute", "--as-of", "2026-03-16", "--policy", "policy.toml")[0] == 0
    rows = asked(
        small,
        "SELECT event, old_value, new_value FROM audit_tracking WHERE event <> 'migrated' ORDER BY audit_id",
    )
    loaded, first, second = rows
    assert loaded == (
        "loaded",
        None,
        {"table": "holidays", "file": "holidays.csv", "read": 1, "written": 1, "held_back": 0},
    )
    assert (first[0], first[1], set(first[2])) == ("policy", None, {"policy_hash"})
    assert second[1]["policy_hash"] == first[2]["policy_hash"] != second[2]["policy_hash"]
    assert (second[1]["roll_days"], second[2]["roll_days"]) == (7, 8)
    assert asked(small, "SELECT kind, reference, audit_id FROM audit_anchors ORDER BY anchor_id") == asked(
        small,
        "SELECT 'run', run_id, (SELECT max(audit_id) FROM audit_tracking) - (log_id = 1)::int"
        " FROM metric_calculation_log ORDER BY log_id",
    )
    assert run(small, "audit", "verify")[0] == 0


def test_history_is_shown(run: Cli, small: str) -> None:
    from loanmetrics.jobs import audit
    from tests.jobs.test_audit import member

    with connect(small) as connection:
        by = member(connection, "ada")
        audit.set_status(connection, "O1", "Assigned", "begin", by=by, expected=0)
    code, out, _ = run(small, "audit", "history", "O1")
    assert code == 0
    assert all(word in out for word in ("status", "Ada", "Assigned", "begin"))
    assert "nothing was done about officer O2 yet" in run(small, "audit", "history", "O2")[2]
