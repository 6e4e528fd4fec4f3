"""The cells of many days at once, ready for ``results``: pass them the ``calendar`` too."""

from datetime import date

import polars as pl

from loanmetrics.engine.book import Facts
from loanmetrics.engine.calendar import latest_15th, to_day
from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.history.past import span
from loanmetrics.engine.run import PLACE, with_flags, with_frozen

DAY = "calculation_date"


def cells(facts: Facts, sums: pl.DataFrame, first: date, last: date, catalogue: Catalogue) -> pl.DataFrame:
    """``run.figures`` of every day from ``first`` to ``last``: every cell, frozen PAR15 and distinct flags included."""
    days = calendar(first, last)
    named = _everywhere(facts, days, sums, list(sums.columns[2:]))
    return (
        with_flags(_frozen(facts, days[DAY], named), catalogue)
        .select(DAY, *PLACE, *catalogue.measures)
        .sort(DAY, *PLACE)
    )


def par15_snapshots(facts: Facts, sums: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """PAR15 of every cell on every 15th from ``first`` to ``last``, zeros included: rows of ``par15_snapshots``."""
    days = calendar(first, last).filter(pl.col(DAY).dt.day() == 15)
    rows = _everywhere(facts, days, sums, ["overdue_15d_amount", "overdue_15d_count"])
    return rows.select(
        pl.col(DAY).alias("snapshot_date"),
        *PLACE,
        par15_exposure="overdue_15d_amount",
        par15_count="overdue_15d_count",
    ).sort("snapshot_date", *PLACE)


def calendar(first: date, last: date) -> pl.DataFrame:
    """The days from ``first`` to ``last``."""
    return pl.DataFrame({DAY: pl.Series(span(first, last), dtype=pl.Int32).cast(pl.Date)})


def _everywhere(facts: Facts, days: pl.DataFrame, sums: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Every cell on every day, with 0 where nothing stood."""
    places = facts.cells.select(pl.col("cell").cast(pl.Int64), *PLACE)
    every = days.join(places, how="cross")
    known = every.join(sums.select(DAY, "cell", *names), on=[DAY, "cell"], how="left")
    return known.drop("cell").with_columns(pl.col(names).fill_null(0))


def _frozen(facts: Facts, days: pl.Series, named: pl.DataFrame) -> pl.DataFrame:
    """Days whose latest 15th was frozen take that set, whole."""
    latest = [latest_15th(to_day(day)) for day in days]
    dated = pl.DataFrame({DAY: days, "snapshot_day": pl.Series(latest, dtype=pl.Int64)})
    taken = dated.join(facts.par15.cast({"snapshot_day": pl.Int64}), on="snapshot_day")
    covered = pl.col(DAY).is_in(taken[DAY].unique().implode())
    renewed = with_frozen(named.filter(covered), taken, (DAY, *PLACE))
    return pl.concat([named.filter(~covered), renewed])
