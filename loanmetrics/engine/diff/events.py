"""What happened to each loan between two versions of its rows: events, in one fixed order.

The loan's own row first (come or gone, reassigned, edited), then its schedule, then its payments by date and id.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from loanmetrics.engine.diff import causes, wording
from loanmetrics.engine.diff.rows import (
    DUE_FIELDS,
    LOAN_FIELDS,
    PAYMENT_FIELDS,
    REVERSAL_FIELDS,
    Rows,
)
from loanmetrics.engine.run import PLACE

THEN: Final = "_then"
IN_THEN, IN_NOW = pl.col("is_then"), pl.col("is_now")
# Where an event stands among its loan's: slot, then the day and id of a payment, then its part.
OWN, MOVED, EDITED, HELD_INSTALLMENTS, RESCHEDULED, PAID, LATER = range(7)
ORDER = ("loan_id", "slot", "day", "key", "part")
EVENT = (*ORDER, "cause", "event")


@dataclass(frozen=True)
class Held:
    """Rows that two versions hold back."""

    then: pl.DataFrame
    now: pl.DataFrame

    def rules(self, table: str) -> pl.DataFrame:
        """By row key, the rule under which a table's row was held back (``rule_then``) and is (``rule``)."""
        sides = [
            side.filter(table_name=table).sort("row_key", "rule").unique("row_key", keep="first")
            for side in (self.then, self.now)
        ]
        then, now = (side.select("row_key", "rule") for side in sides)
        return then.rename({"rule": f"rule{THEN}"}).join(now, on="row_key", how="full", coalesce=True)


@dataclass(frozen=True)
class Pair:
    """The rows of some loans in two versions, and the days they are looked at: the first run's, and the last.

    ``among`` are the loans whose events are wanted; payments may have moved between these and others.
    """

    then: Rows
    now: Rows
    held: Held
    first_day: int
    day: int
    among: pl.Series

    @cached_property
    def loans(self) -> pl.DataFrame:
        """Loans side by side, with the rule that holds them back."""
        mine = pl.col("loan_id").is_in(self.among.implode())
        both = _beside(self.then.loans, self.now.loans, ["loan_id"]).filter(mine)
        rules = self.held.rules("loans").rename({"row_key": "loan_id"})
        return both.join(rules, on="loan_id", how="left")

    @cached_property
    def schedule(self) -> pl.DataFrame:
        """Installments of loans that stand in both versions."""
        stay = self.loans.filter(IN_THEN & IN_NOW).select("loan_id")
        both = _beside(self.then.schedule, self.now.schedule, ["loan_id", "number"])
        keyed = both.join(stay, on="loan_id", how="semi").with_columns(
            row_key=pl.concat_str("loan_id", pl.lit("/"), "number")
        )
        ruled = keyed.join(self.held.rules("loan_schedule"), on="row_key", how="left")
        held = IN_THEN & ~IN_NOW & pl.col("rule").is_not_null()
        released = IN_NOW & ~IN_THEN & pl.col(f"rule{THEN}").is_not_null()
        return ruled.with_columns(
            slot=pl.when(held | released)
            .then(HELD_INSTALLMENTS)
            .when(_differs(DUE_FIELDS))
            .then(RESCHEDULED),
            part=released.cast(pl.Int32),
        )

    @cached_property
    def payments(self) -> pl.DataFrame:
        """Payments of loans that still stand: which are edited or reversed, and which do not matter yet."""
        stay = self.loans.filter(IN_NOW).select("loan_id")
        both = _beside(self.then.repayments, self.now.repayments, ["loan_id", "repayment_id"])
        found = both.join(stay, on="loan_id", how="semi")
        rules = self.held.rules("repayments").rename({"row_key": "repayment_id"})
        homes = [
            rows.repayments.select("repayment_id", pl.col("loan_id").alias(name))
            for name, rows in (("home_then", self.then), ("home", self.now))
        ]
        for known in (rules, *homes):
            found = found.join(known, on="repayment_id", how="left")
        undone = IN_THEN & IN_NOW & ~pl.col(f"reversed{THEN}") & pl.col("reversed")
        edited = _differs(PAYMENT_FIELDS) | (_differs(REVERSAL_FIELDS) & ~undone)
        later = pl.min_horizontal("day", f"day{THEN}") > self.day
        return found.with_columns(undone=undone, edited=edited, later=later & (edited | undone))


def events(pair: Pair) -> pl.DataFrame:
    """Every event with its ``step``, counted from 1 within its loan."""
    parts = [part.select(EVENT) for part in (*_of_loans(pair), *_of_schedules(pair), *_of_payments(pair))]
    found = pl.concat(parts).sort(ORDER)
    return found.with_columns(step=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("loan_id"))


def _of_loans(pair: Pair) -> Iterator[pl.DataFrame]:
    loans = pair.loans
    held, released = (pl.col(name).is_not_null() for name in ("rule", f"rule{THEN}"))
    gone, come = loans.filter(~IN_NOW), loans.filter(~IN_THEN)
    yield _at(
        gone, OWN, cause=_either(held, causes.HELD_BACK, causes.LOAN_REMOVED), event=_ruled("loan", "rule")
    )
    yield _at(
        come,
        OWN,
        cause=_either(released, causes.RELEASED, causes.LOAN_NEW),
        event=_ruled("loan", f"rule{THEN}"),
    )
    stay = loans.filter(IN_THEN & IN_NOW)
    places = dict.fromkeys(PLACE, "text")
    for slot, cause, fields in (
        (MOVED, causes.LOAN_REASSIGNED, places),
        (EDITED, causes.LOAN_EDITED, LOAN_FIELDS),
    ):
        changed = stay.filter(_differs(fields))
        yield _at(changed, slot, cause=pl.lit(cause), event=wording.changed(fields, THEN))


def _of_schedules(pair: Pair) -> Iterator[pl.DataFrame]:
    rows = pair.schedule.filter(pl.col("slot").is_not_null()).sort("loan_id", "number")
    numbers = pl.col("number").cast(pl.String)
    told = rows.group_by("loan_id", "slot", "part", maintain_order=True).agg(
        pl.format("installments {}{}", _first(numbers), _more(pl.len())).alias("event")
    )
    cause = (
        pl.when(pl.col("slot") == RESCHEDULED)
        .then(pl.lit(causes.SCHEDULE_CHANGED))
        .when(pl.col("part") == 1)
        .then(pl.lit(causes.RELEASED))
        .otherwise(pl.lit(causes.HELD_BACK))
    )
    held = told.filter(pl.col("slot") == HELD_INSTALLMENTS)
    yield _at(held, HELD_INSTALLMENTS, part=pl.col("part"), cause=cause, event=pl.col("event"))
    yield _at(told.filter(pl.col("slot") == RESCHEDULED), RESCHEDULED, cause=cause, event=pl.col("event"))


def _first(numbers: pl.Expr) -> pl.Expr:
    return numbers.head(wording.MOST_NAMED).str.join(", ")


def _more(count: pl.Expr) -> pl.Expr:
    more = count.cast(pl.Int64) - wording.MOST_NAMED
    return pl.when(more > 0).then(pl.format(" and {} more", more)).otherwise(pl.lit(""))


def _of_payments(pair: Pair) -> Iterator[pl.DataFrame]:
    payments = pair.payments
    now = payments.filter(~pl.col("later"))
    yield _paid(now.filter("edited"), 0, _cause(pair), _words())
    reversal = pl.format("{} reversed on {}", _receipt(), pl.coalesce(_date("reversal"), _date("day")))
    yield _paid(now.filter("undone"), 1, pl.lit(causes.PAYMENT_REVERSED), reversal)
    later = payments.filter("later").group_by("loan_id").len()
    told = pl.format("{} payments", "len")
    yield _at(later, LATER, cause=pl.lit(causes.DATED_LATER), event=told)


def _cause(pair: Pair) -> pl.Expr:
    """Come, gone, moved or edited; held back or released where a rule says so."""
    return (
        pl.when(IN_THEN & IN_NOW | (IN_NOW & _moved("home_then")) | (IN_THEN & _moved("home")))
        .then(pl.lit(causes.PAYMENT_EDITED))
        .when(IN_NOW & pl.col(f"rule{THEN}").is_not_null())
        .then(pl.lit(causes.RELEASED))
        .when(IN_NOW & (pl.col("day") < pair.first_day))
        .then(pl.lit(causes.PAYMENT_LATE))
        .when(IN_NOW)
        .then(pl.lit(causes.PAYMENT_NEW))
        .when(pl.col("rule").is_not_null())
        .then(pl.lit(causes.HELD_BACK))
        .otherwise(pl.lit(causes.PAYMENT_REMOVED))
    )


def _words() -> pl.Expr:
    edits, more = (
        wording.changed(fields, THEN) for fields in (PAYMENT_FIELDS, {**PAYMENT_FIELDS, **REVERSAL_FIELDS})
    )
    return (
        pl.when(IN_THEN & IN_NOW)
        .then(pl.format("{}: {}", _receipt(), pl.when("undone").then(edits).otherwise(more)))
        .when(IN_NOW & _moved("home_then"))
        .then(pl.format("{} moved from loan {}", _receipt(), "home_then"))
        .when(IN_THEN & _moved("home"))
        .then(pl.format("{} moved to loan {}", _receipt(), "home"))
        .otherwise(
            pl.format("{}{}", _receipt(), _rule(pl.when(IN_NOW).then(f"rule{THEN}").otherwise("rule")))
        )
    )


def _moved(home: str) -> pl.Expr:
    """The payment belonged, or belongs, to another loan."""
    return (pl.col(home) != pl.col("loan_id")).fill_null(False)


def _receipt() -> pl.Expr:
    return pl.format("payment {} of {}", "repayment_id", pl.coalesce(_date("day"), _date(f"day{THEN}")))


def _date(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Int32).cast(pl.Date).cast(pl.String)


def _ruled(what: str, rule: str) -> pl.Expr:
    return pl.format("{}{}", pl.lit(what), _rule(pl.col(rule)))


def _rule(rule: pl.Expr) -> pl.Expr:
    return pl.when(rule.is_not_null()).then(pl.format(" ({})", rule)).otherwise(pl.lit(""))


def _paid(rows: pl.DataFrame, part: int, cause: pl.Expr, event: pl.Expr) -> pl.DataFrame:
    day = pl.coalesce("day", f"day{THEN}")
    return _at(rows, PAID, day=day, key=pl.col("repayment_id"), part=pl.lit(part), cause=cause, event=event)


def _at(rows: pl.DataFrame, slot: int, **columns: pl.Expr) -> pl.DataFrame:
    """Events at one place of the order; what a kind of event does not need is 0 or empty."""
    place = {
        "slot": pl.lit(slot),
        "day": pl.lit(0),
        "key": pl.lit(""),
        "part": pl.lit(0),
        **columns,
    }
    dtypes = {"slot": pl.Int32(), "day": pl.Int64(), "part": pl.Int32(), "key": pl.String()}
    made = {name: value.cast(dtypes.get(name, pl.String())) for name, value in place.items()}
    return rows.select("loan_id", **made)


def _either(test: pl.Expr, yes: str, no: str) -> pl.Expr:
    return pl.when(test).then(pl.lit(yes)).otherwise(pl.lit(no))


def _beside(then: pl.DataFrame, now: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Rows of two versions side by side: the earlier columns end in ``_then``; who is there says ``is_...``."""
    earlier = then.rename({name: f"{name}{THEN}" for name in then.columns if name not in key})
    both = earlier.with_columns(is_then=pl.lit(True)).join(
        now.with_columns(is_now=pl.lit(True)), on=key, how="full", coalesce=True
    )
    return both.with_columns(pl.col("is_then", "is_now").fill_null(False))


def _differs(fields: dict[str, str]) -> pl.Expr:
    """Some field says something else, or one of the two rows is not there."""
    changed = [pl.col(name).ne_missing(pl.col(f"{name}{THEN}")) for name in fields]
    return pl.any_horizontal(IN_THEN != IN_NOW, *changed)
