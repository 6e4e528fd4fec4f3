"""The benchmarks measure what they say: the same database, equal answers, and misses that show."""

import json
import subprocess
import sys
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from loanmetrics.facts.sources import find
from loanmetrics.jobs.load import load_sources
from loanmetrics.policy import Policy
from loanmetrics.testing import Databases
from tests.jobs.stored import asked

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TABLES = ("officers", "holidays", "loans", "loan_schedule", "repayments")
CONTENT = "SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} t"
LEAVES = """
    SELECT leaf.relid::regclass::text, pg_get_expr(c.relpartbound, c.oid), (
        SELECT array_agg(regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .* USING', 'USING \\1')
            ORDER BY 1) FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid WHERE i.indrelid = c.oid
    ), (
        SELECT array_agg(tgname || tgenabled::text ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid
    )
    FROM pg_partition_tree(%s) leaf JOIN pg_class c ON c.oid = leaf.relid WHERE leaf.isleaf ORDER BY 1
"""


@pytest.fixture(autouse=True)
def beside_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A small lender without a mess, for which nothing is held back."""
    out = tmp_path / "raw"
    options = ["--loans", "300", "--officers", "20", "--months", "3", "--no-mess", "--out", str(out)]
    subprocess.run([sys.executable, str(BENCHMARKS / "generate.py"), *options], check=True)
    (out / "customers.parquet").unlink()
    return out


def test_the_fast_way_into_the_database_leads_to_the_same_place(
    databases: Databases, database: str, raw: Path, tmp_path: Path
) -> None:
    load_sources(database, find([raw]), Policy(), report=None, progress=lambda *_: None)
    with databases.empty() as url:
        import_module("bulk").load(url, raw, tmp_path / "csv")
        for table in TABLES:
            assert asked(url, CONTENT.format(table)) == asked(database, CONTENT.format(table)), table
            leaves = LEAVES.replace("%s", f"'{table}'")
            assert asked(url, leaves) == asked(database, leaves), table
        assert asked(url, "SELECT name FROM loanmetrics_watched() WHERE trouble IS NOT NULL") == []


def test_a_day_is_measured_beside_its_peers(tmp_path: Path) -> None:
    words = ["--size", "0.1m", "--loans", "200", "--repeat", "1", "--only", "P2"]
    places = ["--cache", str(tmp_path / "cache"), "--results", str(tmp_path / "results")]
    subprocess.run([sys.executable, str(BENCHMARKS / "bench.py"), *words, *places], check=True)
    sheet = json.loads((tmp_path / "results" / "0.1m.json").read_bytes())
    assert sheet["rows"]["loans"] == 200
    assert len(sheet["figures"]["P2"]["runs"]) == 4
    assert all(
        len(runs["seconds"]) == len(runs["cpu"]) == 1 for runs in sheet["figures"]["P2"]["runs"].values()
    )
    assert {check["what"] for check in sheet["figures"]["P1"]["checks"]} >= {"of the bare scan"}


def test_what_a_shard_costs_is_told_step_by_step(tmp_path: Path) -> None:
    words = ["--size", "0.1m", "--loans", "200", "--cache", str(tmp_path)]
    command = [sys.executable, str(BENCHMARKS / "shards.py"), *words]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    head, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in told.splitlines()]
    assert [line[0] for line in lines][:4] == [
        "a shard: one day",
        "a shard: a month, sums",
        "a shard: a month, transitions",
        "extract",
    ]
    costs = [dict(zip(head, line, strict=True)) for line in lines]
    assert all(float(cost["peak MiB"].replace(",", "")) > 50 for cost in costs)
    assert [bool(cost["WAL MiB"]) for cost in costs] == [cost["step"].startswith("publish") for cost in costs]


def sheet(size: str, loans: int, seconds: float, limit: float) -> Any:
    figure, day = import_module("figure"), import_module("measures.day")
    runs = {day.OURS: figure.Runs([seconds, seconds, 9 * seconds], 10)}
    made = figure.Figure("P2", "One day", [figure.Check("of a peer", 2.0, limit)], runs)
    return figure.Sheet(size, {"loans": loans}, "2 cores", "Python", "", {"P2": made})


def test_a_miss_is_bold_and_the_exponent_is_fitted_to_medians() -> None:
    report, plot = import_module("report"), import_module("plot")
    sheets = [sheet(f"{n}m", n * 10**6, 3.0 * n**1.5, limit=n) for n in (1, 2, 4)]
    lines = plot.series(sheets)
    assert plot.exponent(lines[0]) == pytest.approx(1.5)
    told = report.render(sheets, lines)
    assert "| **2.00 x** | 2.00 x | 2.00 x |" in told
    assert "| P7 | Seconds against loans, one day, loanmetrics: exponent | <= 1.05 | **1.50** |" in told


def test_figures_measured_again_replace_their_own(tmp_path: Path) -> None:
    figure = import_module("figure")
    other = sheet("1m", 10**6, 1.0, 3)
    other.figures["P4"] = other.figures["P2"]
    figure.keep(other, tmp_path)
    figure.keep(sheet("1m", 10**6, 2.0, 3), tmp_path)
    [kept] = figure.read_all(tmp_path)
    assert list(kept.figures) == ["P2", "P4"]
    assert [next(iter(kept.figures[name].runs.values())).median for name in ("P2", "P4")] == [2.0, 1.0]


def test_what_goes_over_http_stands_beside_the_rest_of_its_size(tmp_path: Path) -> None:
    figure, report = import_module("figure"), import_module("report")
    check = figure.Check("(a) p95", 31.0, 25, "ms")
    answers = {"lists flat out": figure.Latencies(7_000, 850.2, 12.5, 31.0, 44.4, server=0.74)}
    http = figure.Figure("P9", "The API, warm", [check], {}, answers=answers)
    whole = sheet("1m", 10**6, 1.0, 3)
    figure.keep(whole, tmp_path)
    figure.keep(figure.Sheet(whole.size, whole.rows, "", "", "", {"P9": http}), tmp_path / "http")
    [kept] = figure.read_all(tmp_path)
    assert set(kept.figures) == {"P2", "P9"}
    told = report.render([kept], [])
    assert "| P9 | The API, warm: (a) p95 | <= 25 ms | **31 ms** |" in told
    assert "| lists flat out | 7,000 | 850 | 12.5 | 31.0 | 44.4 | 0.74 |  |" in told


def test_arrivals_are_the_same_every_time_and_one_in_two_hundred_writes() -> None:
    questions = import_module("serving.questions")
    choices = questions.Choices(["North"], ["Kano", "Jos"], [f"O{n}" for n in range(300)], date(2026, 6, 30))
    plan, again = (list(questions.timetable(choices, ["v"], ["a"])) for _ in range(2))
    assert plan == again
    assert len(plan) == questions.RATE * questions.SECONDS
    assert sum(bool(question.officer_id) for _, _, question in plan) == len(plan) // 200
    assert plan[-1][0] == pytest.approx(questions.SECONDS, rel=0.05)
    assert {user for _, user, _ in plan} == set(range(questions.USERS))
    cold = questions.cold_lists(choices, "v")
    assert len({question.raw for question in cold}) == len(cold)
