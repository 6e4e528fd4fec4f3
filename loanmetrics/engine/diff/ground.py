"""What every loan's measures rest on beside its own rows, and what its change does to each loan."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl

from loanmetrics.engine.book import Book, Shard
from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.diff import causes, wording
from loanmetrics.engine.run import PLACE
from loanmetrics.engine.state import Channels, State, channels, open_shard, used_channels

PAR15 = "par15_mid_month"
STEP = "step"


@dataclass(frozen=True)
class Ground:
    """Definitions, policy, day, holidays, officers, channels in use, frozen PAR15."""

    book: Book
    catalogue: Catalogue
    used: pl.Series

    @cached_property
    def reference(self) -> Channels:
        """The reference channels of every cell; channels in use need not be known to these facts."""
        known = self.book.facts.channels
        strange = self.used.filter(~self.used.is_in(known["name"].implode())).unique().sort()
        more = pl.DataFrame({"channel": range(len(known), len(known) + len(strange)), "name": strange})
        facts = replace(self.book.facts, channels=pl.concat([known, more.cast(known.schema)]))
        return channels(replace(self.book, facts=facts), self.used)

    def added(self, shard: Shard, names: Sequence[str]) -> pl.DataFrame:
        """The cell of each loan of a shard, and what it adds to each measure.

        Nothing to PAR15 of the latest 15th where that was frozen: then ``frozen`` counts.
        """
        return self.of(open_shard(shard, self.book, self.reference), names)

    def of(self, state: State, names: Sequence[str]) -> pl.DataFrame:
        """The same of a shard that is open already, on this ground's day."""
        loans = state.frame()
        values = loans.select("cell", *(self._value(name) for name in names))
        frozen = PAR15 in names and not self.book.frozen_par15.is_empty()
        return values.with_columns(pl.lit(0, pl.Int64).alias(PAR15)) if frozen else values

    def _value(self, name: str) -> pl.Expr:
        measure = self.catalogue.measures.get(name)
        value = pl.sql_expr(measure.sql) if measure else pl.lit(0)
        return value.cast(pl.Int64).alias(name)

    def frozen(self) -> pl.DataFrame:
        """Frozen PAR15 of the latest 15th by place."""
        return self.book.frozen_par15.select(*PLACE, pl.col("exposure").cast(pl.Int64).alias(PAR15))


@dataclass(frozen=True)
class Step:
    """One step of the way: its cause, the event in words, and the ground after it."""

    cause: str
    event: str
    ground: Ground


def path(before: Ground, after: Ground) -> list[Step]:
    """The steps from one ground to the other on the rows of ``before``; those that change nothing are left out."""
    found: list[Step] = []
    ground = before
    for change in CHANGES:
        told = change(ground, after)
        if told:
            found.append(told)
            ground = told.ground
    return found


def effects(first: Ground, steps: Sequence[Step], names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Per loan and step what it adds now less what it added before; ``loan_id`` is null for frozen PAR15."""
    if not steps:
        return
    cells = first.book.facts.cells.cast({"cell": pl.Int64})
    for shard in first.book.facts.shards:
        loans = shard.in_order().loans.select("loan_id").collect()
        was = first.added(shard, names)
        for number, step in enumerate(steps):
            now = step.ground.added(shard, names)
            delta = now.select(names) - was.select(names)
            moved = pl.concat([loans, now.select("cell"), delta], how="horizontal")
            moved = moved.filter(pl.any_horizontal(pl.col(names) != 0))
            yield moved.join(cells, on="cell", how="left").select(
                "loan_id", *PLACE, pl.lit(number, pl.Int64).alias(STEP), *names
            )
            was = now
    yield from _frozen(first, steps, names)


def _frozen(first: Ground, steps: Sequence[Step], names: Sequence[str]) -> Iterator[pl.DataFrame]:
    was = first.frozen()
    for number, step in enumerate(steps):
        now = step.ground.frozen()
        moved = pl.concat([was.with_columns(-pl.col(PAR15)), now]).group_by(PLACE).agg(pl.col(PAR15).sum())
        was = now
        if PAR15 in names:
            yield moved.filter(pl.col(PAR15) != 0).select(
                pl.lit(None, pl.String).alias("loan_id"),
                *PLACE,
                pl.lit(number, pl.Int64).alias(STEP),
                *(pl.col(PAR15) if name == PAR15 else pl.lit(0, pl.Int64).alias(name) for name in names),
            )


def _definition(ground: Ground, after: Ground) -> Step | None:
    then, now = ground.catalogue, after.catalogue
    changed = [name for name, measure in now.measures.items() if measure.sql != _sql(then, name)]
    if not changed:
        return None
    return Step(causes.DEFINITION, ", ".join(changed), replace(ground, catalogue=now))


def _sql(catalogue: Catalogue, name: str) -> str:
    return catalogue.measures[name].sql if name in catalogue.measures else ""


def _policy(ground: Ground, after: Ground) -> Step | None:
    then, now = ground.book.policy, after.book.policy
    if then == now:
        return None
    told = wording.policies(then, now)
    return Step(causes.POLICY, told, replace(ground, book=replace(ground.book, policy=now)))


def _day(ground: Ground, after: Ground) -> Step | None:
    then, now = ground.book.as_of, after.book.as_of
    if then == now:
        return None
    book = replace(ground.book, as_of=now)
    return Step(causes.DAY, f"{then} -> {now}", replace(ground, book=book, used=used_channels(book)))


def _holidays(ground: Ground, after: Ground) -> Step | None:
    then, now = (set(side.book.facts.holidays["day"]) for side in (ground, after))
    if then == now or after.book.policy.calendar != "business":
        return None
    return Step(causes.HOLIDAYS, wording.days(then, now), _with_facts(ground, "holidays", after))


def _officers(ground: Ground, after: Ground) -> Step | None:
    then, now = (dict(_own_channels(side.book)) for side in (ground, after))
    changed = sorted(name for name in then | now if then.get(name) != now.get(name))
    if not changed:
        return None
    return Step(causes.OFFICERS, wording.some(changed), _with_facts(ground, "officers", after))


def _own_channels(book: Book) -> list[tuple[str, str]]:
    given = book.facts.officers.filter(pl.col("primary_channel").is_not_null())
    return given.select("officer_id", "primary_channel").rows()


def _channels(ground: Ground, after: Ground) -> Step | None:
    then, now = set(ground.used.drop_nulls()), set(after.used.drop_nulls())
    if then == now:
        return None
    return Step(causes.CHANNELS, wording.sets(then, now), replace(ground, used=after.used))


def _frozen_par15(ground: Ground, after: Ground) -> Step | None:
    then, now = (side.frozen().sort(PLACE) for side in (ground, after))
    if then.equals(now):
        return None
    return Step(causes.FROZEN_PAR15, f"{len(then)} -> {len(now)} rows", _with_facts(ground, "par15", after))


def _with_facts(ground: Ground, table: str, after: Ground) -> Ground:
    """The same loans with one small table of the later facts."""
    facts = replace(ground.book.facts, **{table: getattr(after.book.facts, table)})
    return replace(ground, book=replace(ground.book, facts=facts))


CHANGES: tuple[Callable[[Ground, Ground], Step | None], ...] = (
    _definition,
    _policy,
    _day,
    _holidays,
    _officers,
    _channels,
    _frozen_par15,
)
