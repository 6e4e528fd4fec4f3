"""The notebooks run as they stand, and what they say is what they show."""

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import pytest

import loanmetrics as lm
from loanmetrics.engine import metrics as folder
from loanmetrics.engine.catalogue import load
from tests import notebooks
from tests.notebooks import NAMES, Ran
from tests.support import SAMPLE_DAY

MOST_BYTES = 16_000
CLAIM = re.compile(r"\*\*(.+?)\*\*")
# What the notebooks of the sample come to, beyond the figures that their prose names.
FOUND: dict[str, dict[str, object]] = {
    "first_look": {"officers": 38, "behind": 21},
    "hunting_a_bad_branch": {"out": 1, "visits": 15},
    "a_new_metric": {"known": 28, "hidden": 1, "days": 91},
}


@cache
def ran(name: str) -> tuple[list[Ran], dict[str, Any]]:
    """A notebook run once for all tests of it."""
    names: dict[str, Any] = {}
    try:
        return list(notebooks.run(name, names)), names
    finally:
        alt.renderers.enable("default")


def shown_until(name: str) -> Iterator[tuple[Ran, str]]:
    """Each cell with all that was shown before it."""
    text = ""
    for one in ran(name)[0]:
        yield one, text
        text += one.text


@pytest.mark.parametrize("name", NAMES)
def test_prose_names_only_figures_that_were_shown(name: str) -> None:
    claims = [
        (claim, text)
        for one, text in shown_until(name)
        if one.cell.kind == "markdown"
        for claim in CLAIM.findall(one.cell.source)
    ]
    assert len(claims) > 4
    assert [
        claim for claim, text in claims if not re.search(rf"(?<![\w.,]){re.escape(claim)}(?![\w%])", text)
    ] == []


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_what_it_tells_of(name: str) -> None:
    names = ran(name)[1]
    assert {key: len(names[key]) for key in FOUND[name]} == FOUND[name]


@pytest.mark.parametrize("name", NAMES)
def test_charts_are_drawn_without_a_network(name: str) -> None:
    charts: list[Any] = [one.value for one in ran(name)[0] if isinstance(one.value, alt.TopLevelMixin)]
    assert len(charts) >= 2
    alt.renderers.enable("svg")
    try:
        drawn = [chart._repr_mimebundle_(None, None)["image/svg+xml"] for chart in charts]
    finally:
        alt.renderers.enable("default")
    assert all(chart.startswith("<svg") for chart in drawn)


@pytest.mark.parametrize("name", NAMES)
def test_the_file_holds_no_results_and_is_small(name: str) -> None:
    path = notebooks.path_of(name)
    held = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in held["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in held["cells"]}) == len(held["cells"])
    assert (held["nbformat"], held["nbformat_minor"]) == (4, 5)
    assert path.stat().st_size < MOST_BYTES


def test_every_notebook_is_tested() -> None:
    assert {path.stem for path in notebooks.FOLDER.glob("*.ipynb")} == set(NAMES)


def test_the_worst_officer_is_who_the_first_look_says() -> None:
    officers = ran("first_look")[1]["officers"]
    assert officers.row(0, named=True) | {"officer_id": "O0032", "risk_score": 37, "risk_band": "Red"} == (
        officers.row(0, named=True)
    )
    assert officers["risk_band"].to_list().count("Red") == 1
    history = ran("first_look")[1]["his"]
    assert history["risk_score"].max() < 40


def test_akure_alone_is_beyond_chance_in_both_signs() -> None:
    names = ran("hunting_a_bad_branch")[1]
    assert names["out"]["branch"].to_list() == ["Akure"]
    june = names["june"].collect()
    effects = dict(june.group_by("cause").agg(pl.col("effect").sum()).iter_rows())
    assert june["change"][0] < 0 < june["change"][0] - effects["written_off"]
    reach = dict(names["since"].group_by("branch").agg(pl.col("porr").max()).iter_rows())
    assert max(reach["Abeokuta"], reach["Ibadan"]) < names["akure"]["porr"].min() / 2
    ages = names["ages"].pivot("whose", index="vintage", values="ever_loans_share")
    assert (ages["Akure"] > ages["the book"]).all()
    grown = effects["rolled_worse"] + effects["fell_behind"]
    assert grown > 3 * -(effects["paid"] + effects["improved"] + effects["paid_off"])


def test_the_new_metric_says_something_new_of_one_loan() -> None:
    names = ran("a_new_metric")[1]
    either = (names["known"]["roll"] + names["known"]["cure_rate"]).round(9) == 1
    assert either.sum() == 25
    assert len(lm.loans(names["book"], names["METRIC"], officer_id="O0032").collect()) == 1


def test_the_new_metric_is_the_cell_saved_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = next(one.cell for one in ran("a_new_metric")[0] if "METRIC = Metric(" in one.cell.source)
    text = cell.source.removesuffix("lm.show(METRIC)")
    (tmp_path / "cure_rate.py").write_text(text)
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    try:
        book = lm.Book.sample(SAMPLE_DAY)
        assert load().metric("cure_rate").examples
        found = lm.compute(book, "cured_balance", "prev_dpd_1to6_balance", "cure_rate", by="book").collect()
        assert found.equals(ran("a_new_metric")[1]["whole"])
        assert re.findall(r"^from (\S+) import", text, re.MULTILINE) == ["loanmetrics.engine.metric"]
    finally:
        sys.modules.pop(f"{folder.__name__}.cure_rate", None)
