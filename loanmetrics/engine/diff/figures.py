"""From effects on measures to the figures of officers, branches, regions or the book: what changed, and why."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import polars as pl

from loanmetrics.engine import results, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.diff import Diff, causes, wording
from loanmetrics.engine.diff.shares import CAUSE, EXACT, OF, Metrics, Side, shares
from loanmetrics.errors import unknown

WHOLE: Final = "book"
SCHEMA: Final = pl.Schema(
    {
        OF: pl.String(),
        "figure": pl.String(),
        **dict.fromkeys(("before", "after", "change"), EXACT),
        **dict.fromkeys(CAUSE, pl.String()),
        "effect": EXACT,
    }
)

ORDERED: Final = pl.Schema({**dict(SCHEMA), "order": pl.UInt32()})


def names_of(catalogue: Catalogue, by: str, names: Sequence[str] = ()) -> list[str]:
    """The figures asked for, all of them if none is named, in the order of the catalogue."""
    known = [*catalogue.measures, *catalogue.metrics, *(["rank"] if by == "officer" else [])]
    for name in names:
        if name not in known:
            raise unknown("metric", name, known)
    return [name for name in known if not names or name in names]


def figures(
    made: Diff, by: str, names: Sequence[str] = (), where: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Every changed figure with its causes: one row per figure, loan, cause and event.

    ``change`` is ``after`` less ``before``, and the sum of the figure's effects. Money is in minor units. ``where``
    picks groups by officer_id, region or branch.
    """
    wanted, picked = names_of(made.now, by, names), where or {}
    rows = made.effects.filter(**picked) if picked else made.effects
    parts = [explained(_sides(made, by, picked), rows, by, wanted, partial(_at_work, made, by, picked))]
    if "rank" in wanted:
        parts.append(_ranks(made, picked))
    return _finished(pl.concat(parts), wanted)


def explained(
    sides: tuple[Side, Side],
    effects: pl.DataFrame,
    by: str,
    wanted: Sequence[str],
    at_work: Callable[[str, pl.Series], Sequence[str]],
) -> pl.DataFrame:
    """Changed measures and metrics of the groups of two sides, with their causes.

    ``at_work`` says which officers came and went in each group, for measures that count officers.
    """
    catalogue = sides[1].catalogue
    told = _measures(sides, effects, by, _needed(catalogue, wanted), at_work)
    metrics = [name for name in wanted if name in catalogue.metrics]
    measures = told.filter(pl.col("figure").is_in(wanted))
    return pl.concat([measures, shares(Metrics(*sides, metrics, told))]) if metrics else measures


def _needed(catalogue: Catalogue, wanted: Sequence[str]) -> list[str]:
    beneath = {need for name in wanted if name != "rank" for need in catalogue.measures_of(name)}
    return [name for name in catalogue.measures if name in beneath]


def of(by: str) -> pl.Expr:
    """Whose a figure is: an officer's id, ``region / branch``, a region, or ``book``."""
    keys = run.GROUPS[by]
    return (pl.concat_str(keys, separator=" / ") if keys else pl.lit(WHOLE)).alias(OF)


def _sides(made: Diff, by: str, where: Mapping[str, str]) -> tuple[Side, Side]:
    """The measures of every group of either run, for both; a measure or a group that one does not know is 0 there."""
    then, now = (
        run.group(cells.filter(**where) if where else cells, run.GROUPS[by], catalogue)
        for cells, catalogue in zip(made.cells, (made.then, made.now), strict=True)
    )
    keyed = [rows.with_columns(of(by)) for rows in (then, now)]
    every = pl.concat([rows.select(OF) for rows in keyed]).unique().sort(OF)
    measures = list(dict.fromkeys([*made.now.measures, *made.then.measures]))
    groups = [
        every.join(rows, on=OF, how="left")
        .select(OF, *(pl.col(n) if n in rows.columns else pl.lit(0, pl.Int64).alias(n) for n in measures))
        .with_columns(pl.col(measures).fill_null(0))
        .sort(OF)
        for rows in keyed
    ]
    return Side(groups[0], made.before, made.then), Side(groups[1], made.after, made.now)


def _measures(
    sides: tuple[Side, Side],
    effects: pl.DataFrame,
    by: str,
    names: Sequence[str],
    at_work: Callable[[str, pl.Series], Sequence[str]],
) -> pl.DataFrame:
    both = sides[0].groups.join(sides[1].groups, on=OF, suffix="_now")
    summed = [name for name in names if name in effects.columns]
    grouped = effects.group_by(of(by), *CAUSE, maintain_order=True).agg(pl.col(summed).sum())
    tell = partial(_measure, both, grouped.with_row_index("order"), at_work)
    return pl.concat([pl.DataFrame(schema=ORDERED), *(tell(name) for name in names)])


def _measure(
    both: pl.DataFrame, effects: pl.DataFrame, at_work: Callable[[str, pl.Series], Sequence[str]], name: str
) -> pl.DataFrame:
    before, after = pl.col(name), pl.col(f"{name}_now")
    changed = both.filter(before != after).select(
        OF, pl.lit(name).alias("figure"), before=before, after=after, change=after - before
    )
    if name in effects.columns:
        rows = effects.filter(pl.col(name) != 0).select(OF, *CAUSE, "order", effect=name)
        told = changed.join(rows, on=OF)
    else:
        told = _counted(changed, at_work(name, changed[OF]))
    return told.select(ORDERED.names()).cast(ORDERED)


def _counted(changed: pl.DataFrame, events: Sequence[str]) -> pl.DataFrame:
    """Officers are counted once however many loans they have."""
    return changed.with_columns(
        pl.Series("event", events, dtype=pl.String),
        loan_id=pl.lit(None, pl.String),
        cause=pl.lit(causes.OFFICERS_COUNTED),
        effect="change",
        order=pl.lit(2**32 - 1),
    )


def _at_work(made: Diff, by: str, where: Mapping[str, str], name: str, groups: pl.Series) -> list[str]:
    """Which officers came to work in each group, and which left."""
    then, now = (_officers(cells, by, where, name) for cells in made.cells)
    return [wording.sets(then.get(group, set()), now.get(group, set())) for group in groups]


def _officers(cells: pl.DataFrame, by: str, where: Mapping[str, str], name: str) -> dict[str, set[str]]:
    if name not in cells.columns:
        return {}
    mine = cells.filter(pl.col(name) > 0, **where) if where else cells.filter(pl.col(name) > 0)
    found = mine.group_by(of(by)).agg(pl.col("officer_id").unique())
    return {group: set(officers) for group, officers in found.iter_rows()}


def _ranks(made: Diff, where: Mapping[str, str]) -> pl.DataFrame:
    sides = [
        _placed(book, cells, catalogue, where)
        for book, cells, catalogue in zip(
            (made.before, made.after), made.cells, (made.then, made.now), strict=True
        )
    ]
    both = (
        sides[0]
        .rename({"rank": "before"})
        .join(sides[1].rename({"rank": "after"}), on=OF, how="full", coalesce=True)
    )
    change = pl.col("after") - pl.col("before")
    return both.filter(pl.col("before").ne_missing(pl.col("after"))).select(
        OF,
        pl.lit("rank").alias("figure"),
        pl.col("before", "after").cast(EXACT),
        change=change.cast(EXACT),
        loan_id=pl.lit(None, pl.String),
        cause=pl.when(change.is_null())
        .then(pl.lit(causes.NO_EVIDENCE))
        .otherwise(pl.lit(causes.RANKED_ANEW)),
        event=pl.lit(""),
        effect=change.cast(EXACT),
        order=pl.lit(0, pl.UInt32),
    )


def _placed(book: Book, cells: pl.DataFrame, catalogue: Catalogue, where: Mapping[str, str]) -> pl.DataFrame:
    rows = results.officers(cells, book, catalogue)
    chosen = rows.filter(pl.col("officer_id") == where["officer_id"]) if "officer_id" in where else rows
    return chosen.select(pl.col("officer_id").alias(OF), "rank")


def _finished(rows: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """By group and figure, the largest effects first."""
    place = pl.col("figure").cast(pl.Enum(order))
    return rows.sort(
        OF, place, pl.col("effect").abs(), "order", *CAUSE, descending=[False, False, True, *[False] * 4]
    ).select(SCHEMA.names())
