import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import psycopg
import pytest

from loanmetrics import cli, console, formatting
from loanmetrics.commands import shared
from loanmetrics.engine.catalogue import load
from loanmetrics.errors import GateError, LoanmetricsError, LockHeldError, StoreError
from loanmetrics.jobs.load import LOCK
from loanmetrics.policy import Policy

SAMPLE = str(Path(__file__).parent.parent / "data" / "sample")
PYTHON = [sys.executable, "-m", "loanmetrics.cli"]
DAY = "2026-06-30"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("LOANMETRICS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LOANMETRICS_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words: str, database: str = "") -> tuple[int, str, str]:
        monkeypatch.setenv("LOANMETRICS_DATABASE_URL", database)
        monkeypatch.setattr(sys, "argv", ["loanmetrics", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), *capfd.readouterr()

    return call


COMMANDS = [
    *("", "load", "compute", "diff", "serve", "verify", "worker", "show", "show officers", "show branches"),
    *("show officer", "show loans", "whatif", "explain"),
    *("metrics", "runs", "migrate"),
    *("config", "config check", "config show", "audit", "audit verify", "audit history"),
    *("members", "members add", "members list", "members disable", "members enable", "members set-role"),
    *("members set-password", "token", "token issue", "token rotate"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    code, out, err = run(*command.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith("Usage: loanmetrics")


def test_help_imports_nothing_heavy() -> None:
    heavy = "polars duckdb psycopg numpy pyarrow rich"
    script = (
        "import sys\nfrom loanmetrics.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', *(name for name in {heavy.split()} if name in sys.modules))"
    )
    command = [sys.executable, "-c", script, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy:\n")


def test_version(run: Run) -> None:
    assert run("--version") == (0, "loanmetrics 0.1.0\n", "")


USAGE_ERRORS = [
    ("loda data", "Did you mean 'load'?"),
    ("load", "Missing argument"),
    ("load nowhere.csv", "error: no such file: nowhere.csv"),
    ("compute --as-of 2026-13-01", "2026-13-01"),
    ("compute --as_of 2026-06-30", "No such option"),
    ("compute --policy nowhere.toml", "nowhere.toml cannot be read"),
    ("show officers --worst 0", "--worst"),
    ("show officers --format xls", "--format"),
    ("metrics rol", "error: unknown metric or measure: rol\nhint: did you mean roll?"),
    (
        "compute --as-of 1969-12-31",
        "error: 1969-12-31 cannot be computed\nhint: --as-of takes a day from 1970-01-01",
    ),
    (
        "compute --as-of 2300-01-01",
        "error: 2300-01-01 cannot be computed\nhint: --as-of takes a day from 1970-01-01",
    ),
    ("compute --as-of 2300-01-01 --dry-run", "error: 2300-01-01 cannot be computed"),
    ("compute --output changes.csv", "error: --output is for the changes of a --dry-run"),
    ("compute --dry-run --output changes.txt", "hint: name the file .csv, .json or .parquet"),
]


def test_a_place_that_cannot_be_written_is_one_line(run: Run) -> None:
    assert run("load", SAMPLE, "--report", "no/where.csv") == (
        1,
        "",
        "error: no/where.csv: No such file or directory\n",
    )


@pytest.mark.parametrize(("command", "message"), USAGE_ERRORS)
def test_a_usage_error_exits_2_and_says_what_to_do(run: Run, command: str, message: str) -> None:
    code, out, err = run(*command.split())
    assert (code, out) == (2, "")
    assert message in err


def test_an_unknown_policy_name_is_answered_with_a_hint(run: Run, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("cohort_dais = 90")
    code, _, err = run("config", "check", "--policy", "policy.toml")
    assert (code, err) == (2, "error: unknown policy name: cohort_dais\nhint: did you mean cohort_days?\n")


ERRORS = [
    (StoreError("no database", "start it"), 1, "error: no database\nhint: start it\n"),
    (LockHeldError("another run"), 3, "error: another run\n"),
    (GateError("officers <> branches"), 4, "error: officers <> branches\n"),
]


@pytest.mark.parametrize(("error", "code", "said"), ERRORS)
def test_an_error_is_one_line_and_its_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: LoanmetricsError, code: int, said: str
) -> None:
    monkeypatch.setattr(cli, "app", raising(error))
    assert run() == (code, "", said)


def test_an_interrupt_exits_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", raising(KeyboardInterrupt()))
    assert run() == (130, "", "")


def interrupted_duckdb() -> Exception:
    """What DuckDB raises when it is interrupted at work."""
    with duckdb.connect() as connection:
        timer = threading.Timer(0.2, connection.interrupt)
        timer.start()
        with pytest.raises(duckdb.Error) as caught:
            connection.execute("SELECT sum(a.range * b.range % 7) FROM range(100000) a, range(100000) b")
        timer.join()
        return caught.value


@pytest.mark.parametrize("error", [interrupted_duckdb, lambda: RuntimeError("Query interrupted")])
def test_an_interrupt_while_duckdb_is_at_work_exits_130(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    interrupt = error()
    wrapped = StoreError("cleaning up failed")
    wrapped.__context__ = interrupt
    for raised in (interrupt, wrapped):
        monkeypatch.setattr(cli, "app", raising(raised))
        assert run() == (130, "", "")


def test_other_errors_of_a_query_are_no_interrupts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", raising(RuntimeError("Query failed")))
    assert run()[0] == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_swallows_what_is_written(closed: str) -> None:
    command = ["/bin/sh", "-c", f'"$0" -m loanmetrics.cli metrics {closed}', sys.executable]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)


ASCII = """
import polars as pl
from loanmetrics import cli, console
cli.app = lambda **_: console.show_frame(pl.DataFrame({"officer_name": ["\u1eccl\u00e1"]}), {}, {})
cli.main()
"""


def test_a_letter_that_a_stream_cannot_show_is_spelt_out() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", ASCII]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"officer_name\n\\u1eccl\\xe1\n", b"")


def test_the_unexpected_is_logged_without_personal_data(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = "08031234567"
    monkeypatch.setattr(cli, "app", raising(ValueError(f"cannot dial {secret}")))
    code, out, err = run()
    assert (code, out) == (1, "")
    [log] = (tmp_path / "home").glob("error-*.log")
    assert err == f"error: something unexpected went wrong (ValueError)\nhint: see {log}\n"
    text = log.read_text()
    assert "builtins.ValueError" in text
    assert "test_cli.py" in text
    assert secret not in text


def raising(error: BaseException) -> Callable[..., None]:
    def app(**_: str) -> None:
        raise error

    return app


def test_an_unreachable_database_is_one_line(run: Run) -> None:
    code, _, err = run("runs", database="postgresql:///loans?host=/nonexistent")
    assert code == 1
    assert err.startswith("error: cannot connect to the database")


def test_an_empty_database_says_to_migrate(run: Run, empty_database: str) -> None:
    for command in (["runs"], ["load", SAMPLE], ["show", "officers"]):
        assert run(*command, database=empty_database) == (
            1,
            "",
            "error: the database is not up to date\nhint: loanmetrics migrate\n",
        )


def test_migrate_says_what_it_did_and_then_that_nothing_is_left(run: Run, empty_database: str) -> None:
    code, out, _ = run("migrate", database=empty_database)
    assert code == 0
    assert "0001.tables" in out
    assert run("migrate", database=empty_database) == (0, "the database is up to date\n", "")


def test_a_held_lock_exits_3(run: Run, database: str) -> None:
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", LOCK)
        code, _, err = run("load", SAMPLE, database=database)
    assert (code, err) == (3, "error: another load is at work on this database\n")


def test_from_files_to_figures(run: Run, database: str, tmp_path: Path) -> None:
    code, out, err = run("load", SAMPLE, "--report", "held.csv", database=database)
    assert code == 0
    assert "loan_schedule  59,728   59,721          0          7\n" in out
    assert "loans          amount_too_large        1\n" in out
    assert err == "rows held back are in the table quarantined_rows and in held.csv\n"
    assert len((tmp_path / "held.csv").read_text().splitlines()) == 17

    assert run("show", "officers", database=database)[0] == 2

    code, out, _ = run("compute", "--as-of", DAY, database=database)
    assert code == 0
    assert f"as of {DAY}: published 44 officers and 13 branches from 6,053 loans in " in out
    assert " s; 6,110 rows changed (20" in out
    assert "\nread everything (first run)\n" in out
    assert ["held", "back", "loans.no_due_date", "1"] in [line.split() for line in out.splitlines()]

    code, out, _ = run("compute", "--as-of", DAY, database=database)
    assert " s; 0 rows changed (20" in out
    assert "\nread what changed\n" in out
    code, out, _ = run("compute", "--as-of", DAY, "--full", database=database)
    assert "\nread everything (asked for)\n" in out

    code, out, err = run("compute", "--as-of", DAY, "--dry-run", database=database)
    assert (code, err) == (0, "nothing to show\n")
    assert "would publish 44 officers" in out

    code, out, err = run("show", "officers", "--worst", "3", "--why", database=database)
    assert code == 0
    assert len(out.splitlines()) == 4
    assert "porr -16.4, fimr -12.1" in out
    assert "\x1b" not in out
    assert "more columns" in err

    code, out, _ = run("show", "branches", "--format", "csv", "--sort", "-risk_score", database=database)
    scores = pl.read_csv(out.encode())["risk_score"].to_list()
    assert scores == sorted(scores, reverse=True)

    code, out, _ = run(
        "show", "officers", "--columns", "officer_id,fimr", "--format", "json", database=database
    )
    assert {tuple(row) for row in json.loads(out)} == {("officer_id", "fimr")}

    assert run("show", "officers", "--output", "officers.parquet", database=database) == (0, "", "")
    money = pl.read_parquet(tmp_path / "officers.parquet")["total_portfolio"]
    assert money.dtype == pl.Decimal(38, 2)

    code, out, _ = run("runs", "--limit", "1", database=database)
    assert "Completed" in out


def test_the_plan_needs_no_database(run: Run) -> None:
    code, out, _ = run("compute", "--explain")
    assert code == 0
    assert "total_portfolio" in out


def test_config_check_names_policy_and_server(run: Run, database: str) -> None:
    code, out, _ = run("config", "check", database=database)
    assert code == 0
    assert out.startswith(f"policy {Policy().hash}: fine\ndatabase: PostgreSQL ")


def test_config_show_masks_secrets(run: Run) -> None:
    code, out, _ = run("config", "show", database="postgresql://ada:s3cret@db/loans")
    assert code == 0
    assert "s3cret" not in out
    assert 'time_zone = "UTC"' in out


def test_a_metric_is_explained(run: Run) -> None:
    code, out, _ = run("metrics", "fimr")
    assert code == 0
    assert "first_miss_count / NULLIF(disbursed_count, 0)" in out
    assert "Green <= 0.03" in out


def test_a_measure_and_the_rank_are_explained(run: Run) -> None:
    code, out, _ = run("metrics", "total_portfolio")
    assert code == 0
    assert out.startswith("total_portfolio: a measure (money)\nOwed by loans on the book.\n")
    assert "used by  par15_ratio\n" in out
    assert "risk score's rank" in run("metrics", "rank")[1]


def test_the_list_of_metrics_fits_the_screen(run: Run) -> None:
    _, out, err = run("metrics")
    table, measures = out.split("\n\n")
    assert max(map(len, table.splitlines())) < 80
    assert "rank             rank   Rank\n" in table
    assert all(name in measures for name in load().measures)
    assert "loanmetrics metrics NAME" in err


def test_a_reader_that_goes_away_is_no_noise() -> None:
    with subprocess.Popen([*PYTHON, "metrics"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_today_is_the_lenders() -> None:
    zone = "Pacific/Kiritimati"
    before = datetime.now(ZoneInfo(zone)).date()
    today = shared.today(Policy(time_zone=zone))
    assert before <= today <= datetime.now(ZoneInfo(zone)).date()


CELLS = [
    (1234567, "money", "12,345.67"),
    (-5, "money", "-0.05"),
    (Decimal("1234.5"), "money", "1,234.50"),
    (0.03125, "ratio", "3.1 %"),
    (1234567, "bigint", "1,234,567"),
    (86, "score", "86"),
    (None, "money", "-"),
    (None, "text", "-"),
    (False, "bool", "no"),
    ("Green", "text", "Green"),
    ("A\nb\x1b[2J", "text", "A b [2J"),
]


@pytest.mark.parametrize(("value", "kind", "shown"), CELLS)
def test_a_cell_reads_well(value: object, kind: str, shown: str) -> None:
    assert formatting.cell(value, kind) == shown


TABLE = """
import polars as pl
from loanmetrics import console
frame = pl.DataFrame(
    {
        "officer_id": ["O1", "O2"],
        "risk_score": [37, 44],
        "risk_band": ["Red", "Amber"],
        "why": ["porr -16.4, fimr -12.1", "porr -12.3"],
        "active_loans": [5, 6],
        "fimr": [0.5, 0.25],
    }
)
kinds = {"risk_score": "score", "active_loans": "bigint", "fimr": "ratio"}
console.show_frame(frame, kinds, {"risk_score": "risk_band"}, %s)
"""


def on_screen(width: int, how: str = "") -> str:
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "TERM": "xterm"}
    command = [sys.executable, "-c", TABLE % how]
    subprocess.run(command, stdout=follower, stderr=subprocess.DEVNULL, env=environment, check=True)
    os.close(follower)
    text = os.read(leader, 10_000).decode()
    os.close(leader)
    return text.replace("\r\n", "\n")


def plain(text: str) -> list[str]:
    return [line.rstrip() for line in re.sub("\x1b\\[[0-9;]*m", "", text).splitlines()]


def test_what_was_asked_for_is_shown_on_every_screen() -> None:
    narrow = plain(on_screen(36, "asked=['why']"))
    assert narrow[0].split() == ["officer_id", "risk_score", "risk_band"]
    assert narrow[3:] == [
        "    why: porr -16.4, fimr -12.1",
        "O2                  44  Amber",
        "    why: porr -12.3",
    ]
    wide = plain(on_screen(76, "asked=['why']"))
    assert wide[0].split() == ["officer_id", "risk_score", "risk_band", "why", "active_loans"]
    named = plain(on_screen(36, "columns=['why', 'active_loans', 'fimr', 'officer_id']"))
    assert [line.split()[-1] for line in (named[0], *named[2:])] == ["officer_id", "O1", "O2"]
    assert "porr -16.4, fimr -12.1             5  50.0 %" in named[2]


def test_a_terminal_gets_colours_and_what_fits() -> None:
    text = on_screen(36)
    assert "\x1b[31m" in text
    assert "risk_band" in text
    assert "fimr" not in text


def test_a_pipe_gets_plain_text_in_full() -> None:
    environment = {**os.environ, "COLUMNS": "36", "TERM": "xterm"}
    command = [sys.executable, "-c", TABLE % "asked=['why']"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == (
        "officer_id  risk_score  risk_band  why                     active_loans    fimr\n"
        "O1                  37  Red        porr -16.4, fimr -12.1             5  50.0 %\n"
        "O2                  44  Amber      porr -12.3                         6  25.0 %\n"
    )


def test_csv_text_cannot_become_a_formula(tmp_path: Path) -> None:
    names = ["=1+1", "Ada", None, "-0.05", "-1+1"]
    frame = pl.DataFrame({"officer_name": names, "total_portfolio": [-5, 100, None, 0, 0]})
    console.write_frame(frame, "csv", tmp_path / "out.csv", {"total_portfolio": "money"})
    assert (tmp_path / "out.csv").read_text() == (
        "officer_name,total_portfolio\n'=1+1,-0.05\nAda,1.00\n,\n-0.05,0.00\n'-1+1,0.00\n"
    )
