"""Ratios held to loans of the same kind equal the sums over loans in fractions, and add up to the book's."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from functools import cache

import polars as pl
import pytest

from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.certainty import certainty
from loanmetrics.engine.evidence import FAR, RARE, SUMS, judged, measures
from loanmetrics.engine.kinds import TRAITS, Kinds
from loanmetrics.engine.peers import SCHEMA, by_kind, peers
from loanmetrics.engine.run import GROUPS
from loanmetrics.errors import UsageError
from loanmetrics.policy import Policy
from tests import oracle, support
from tests.laws.sample import usable
from tests.strategies import Case, Row, fixed

PAIRS = {
    "fimr": ("first_miss_count", "disbursed_count"),
    "all_time_fimr": ("all_time_first_miss_count", "all_time_decided_count"),
    "d06_slippage": ("dpd_1to6_balance", "amount_due_7d"),
    "roll": ("moved_to_7to30", "prev_dpd_1to6_balance"),
    "frr": ("fees_collected", "fees_due"),
    "ayr_30d": ("yield_30d", "overdue_15d_amount"),
    "porr": ("overdue_15d_amount", "total_portfolio"),
    "par15_ratio": ("overdue_15d_amount", "total_portfolio"),
    **{f"par{x}": (f"par{x}_principal", "principal_portfolio") for x in (1, 7, 15, 30, 60, 90)},
    "on_time_rate": ("on_time_installments", "due_installments"),
    "channel_purity": ("pure_channel_count", "channel_known_count"),
}
# Each loan is a yes or a no.
FLAGS = ("fimr", "all_time_fimr", "channel_purity")
CASES = fixed(12)
PLACE = ("officer_id", "region", "branch")
CHOSEN: tuple[tuple[str, ...], ...] = (
    ("region", "size", "term", "age"),
    ("size",),
    (),
    ("term", "age"),
    ("age", "region"),
    ("channel", "size"),
)
Key = tuple[object, ...]
BOOK = Book(support.sample_facts(), support.SAMPLE_DAY)


@dataclass
class Part:
    """The loans of one group and kind: numerator and denominator of each."""

    loans: list[tuple[int, int]] = field(default_factory=list)

    @property
    def above(self) -> int:
        return sum(above for above, _ in self.loans)

    @property
    def below(self) -> int:
        return sum(below for _, below in self.loans)

    @property
    def sums(self) -> tuple[int, ...]:
        squares = [(a * a, a * b, b * b) for a, b in self.loans]
        return (self.above, self.below, *(sum(each) for each in zip(*squares, strict=True)), len(self.loans))

    def scatter(self) -> Fraction:
        """How much a loan's numerator differs from what its kind's ratio says, squared, on average."""
        ratio = Fraction(self.above, self.below)
        return sum(((a - ratio * b) ** 2 for a, b in self.loans), Fraction(0)) / len(self.loans)


@dataclass
class World:
    """A book, its loans as the oracle reads them, and what each of them adds to every measure."""

    book: Book
    loans: list[tuple[oracle.Loan, Counter[str]]]

    def parts(self, metric: str, by: str, traits: Sequence[str]) -> dict[tuple[Key, Key], Part]:
        above, below = PAIRS[metric]
        quarters = self.quarters()
        found: dict[tuple[Key, Key], Part] = defaultdict(Part)
        for loan, added in self.loans:
            both = (added[above], added[below])
            if any(both):
                group = tuple(dict(zip(PLACE, loan.cell, strict=True))[name] for name in GROUPS[by])
                kind = kind_of(loan, self.book.as_of, quarters)
                found[group, tuple(kind[trait] for trait in traits)].loans.append(both)
        return found

    def quarters(self) -> list[int]:
        amounts = sorted(loan.amount for loan, _ in self.loans if loan.disbursed <= self.book.as_of)
        return [amounts[math.ceil(nth * len(amounts) / 4) - 1] for nth in (1, 2, 3)] if amounts else [0] * 3


def kind_of(loan: oracle.Loan, day: date, quarters: Sequence[int]) -> dict[str, object]:
    by_term = None if loan.term_days is None else loan.disbursed + timedelta(loan.term_days)
    dues = [installment.due_date for installment in loan.installments]
    end = loan.maturity_date or by_term or max(dues, default=date.max)
    return {
        "region": loan.region,
        "channel": loan.channel,
        "size": sum(loan.amount > amount for amount in quarters),
        "term": band((end - loan.disbursed).days),
        "age": band((day - loan.disbursed).days),
    }


def band(days: int) -> int:
    return sum(days > edge for edge in (30, 90, 180, 365))


def world(book: Book, facts: oracle.Facts) -> World:
    days, used = oracle.Days(book.policy, facts.holidays), oracle.channels_used(facts, book.as_of)
    made = []
    for loan in facts.loans.values():
        added: Counter[str] = Counter()
        for part in oracle.loan_measures(loan, book.as_of, facts, used, days):
            added.update(part)
        made.append((loan, added))
    return World(book, made)


@cache
def generated(number: int) -> World:
    case: Case = CASES[number]
    book, _ = support.book_of(case.rows, case.as_of, case.policy, case.frozen)
    return world(book, oracle.read(case.rows, case.policy))


@cache
def sample() -> World:
    return world(BOOK, usable())


def near(value: Fraction | float | None) -> object:
    return None if value is None else pytest.approx(float(value), rel=1e-9, abs=1e-12)


def assert_is_the_sum_over_loans(it: World, metric: str, by: str, traits: tuple[str, ...]) -> int:
    """How many rows there were."""
    parts = it.parts(metric, by, traits)
    kinds: dict[Key, Part] = defaultdict(Part)
    for (_, kind), part in parts.items():
        kinds[kind].loans += part.loans
    assert_exact(it.book, metric, by, traits, parts, kinds)
    groups = {group for group, _ in parts}
    mine = {
        group: {kind: part for (whose, kind), part in parts.items() if whose == group} for group in groups
    }
    having = {group for group in groups if any(part.below for part in mine[group].values())}
    table = peers(it.book, metric, GROUPS[by], traits)
    keys = list(GROUPS[by])
    rows = {tuple(row[key] for key in keys): row for row in table.iter_rows(named=True)}
    assert rows.keys() == having
    whole = [sum(getattr(part, side) for part in kinds.values()) for side in ("above", "below")]
    for group, row in rows.items():
        least = it.book.policy.min_rank_loans
        assert_row(row, mine[group], kinds, Fraction(*whole), least, flags=metric in FLAGS)
    return len(rows)


def assert_row(
    row: dict[str, object],
    mine: dict[Key, Part],
    kinds: dict[Key, Part],
    book: Fraction,
    least: int,
    *,
    flags: bool,
) -> None:
    compared = {kind: part for kind, part in mine.items() if kinds[kind].below}
    below = sum(part.below for part in mine.values())
    observed = sum(part.above for part in compared.values())
    expected = sum(
        (Fraction(kinds[kind].above, kinds[kind].below) * part.below for kind, part in compared.items())
    )
    assert row["value"] == near(Fraction(sum(part.above for part in mine.values()), below))
    assert row["expected"] == near(Fraction(expected) / below)
    assert row["relative"] == near(Fraction(observed) / expected if expected else None)
    adjusted = Fraction(0) if not book else Fraction(observed) / expected * book if expected else None
    assert row["adjusted"] == near(adjusted)
    loans = sum(len(part.loans) for part in compared.values())
    assert row["loans"] == loans
    alone = sum(part.below for kind, part in compared.items() if 2 * part.below > kinds[kind].below)
    assert row["alone"] == near(Fraction(alone, below))
    if adjusted is None:
        assert row["funnel_high"] is row["low"] is None
        return
    variance = sum((kinds[kind].scatter() * len(part.loans) for kind, part in compared.items()), Fraction(0))
    weighed = expected / book if book else below
    far = FAR * math.sqrt(variance) / weighed
    assert row["funnel_high"] == near(book + far)
    assert row["funnel_low"] == near(max(0.0, book - far))
    beyond = float(adjusted - book) - far
    high = beyond > 1e-9 * book and (not flags or tail(observed, loans, float(expected) / loans) <= RARE)
    outside = "high" if high else "low" if float(book - adjusted) - far > 1e-9 * book else "inside"
    if adjusted == book or abs(abs(adjusted - book) - far) > 2e-9 * book:
        assert row["stands"] == ("too few" if loans < max(least, 2) else outside)


def tail(hits: int, count: int, rate: float) -> float:
    """How likely so many or more of ``count`` are."""
    terms = (math.comb(count, k) * rate**k * (1 - rate) ** (count - k) for k in range(hits, count + 1))
    return math.fsum(terms)


def assert_exact(
    book: Book,
    metric: str,
    by: str,
    traits: tuple[str, ...],
    parts: dict[tuple[Key, Key], Part],
    kinds: dict[Key, Part],
) -> None:
    """The engine's integers are the loop's, and what is expected of all is what is observed of all, exactly."""
    both = measures(load(book.policy, book.as_of), metric)
    table = by_kind(book, both, GROUPS[by], Kinds.of(book, traits))
    sums = [*SUMS, *(f"{name}_all" for name in SUMS)]
    ours = sorted(table.select(*GROUPS[by], *sums).rows())
    assert ours == sorted((*group, *part.sums, *kinds[kind].sums) for (group, kind), part in parts.items())
    compared = table.filter(pl.col("below_all") > 0).select("above", "below", "above_all", "below_all").rows()
    expected = sum((Fraction(a_all, b_all) * below for _, below, a_all, b_all in compared), Fraction(0))
    assert expected == sum(above for above, *_ in compared)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_generated_books(number: int) -> None:
    it = generated(number)
    for nth, metric in enumerate(PAIRS):
        traits = CHOSEN[(number + nth) % len(CHOSEN)]
        if metric == "channel_purity":
            traits = tuple(trait for trait in traits if trait != "channel")
        by = ("officer", "branch", "book")[(number + nth) % 3]
        assert_is_the_sum_over_loans(it, metric, by, traits)


def test_generated_books_hold_what_is_compared() -> None:
    found = [peers(generated(number).book, metric) for number in range(len(CASES)) for metric in PAIRS]
    table = pl.concat(found)
    assert (table["alone"] < 1).any()
    assert table["relative"].null_count() > 0
    assert ((table["relative"] - 1).abs() > 0.1).any()


@pytest.mark.parametrize("metric", PAIRS)
def test_the_sample(metric: str) -> None:
    assert assert_is_the_sum_over_loans(sample(), metric, "officer", ("region", "size", "term", "age")) > 20
    assert assert_is_the_sum_over_loans(sample(), metric, "branch", ("size", "age")) > 5


def test_every_ratio_of_two_sums_is_held_to_its_peers() -> None:
    assert set(judged(load())) == set(PAIRS)


@pytest.mark.parametrize("metric", PAIRS)
def test_where_all_loans_are_of_one_kind_it_is_what_certainty_says(metric: str) -> None:
    table, plain = (
        peers(BOOK, metric, traits=()).sort("officer_id"),
        certainty(BOOK, metric).sort("officer_id"),
    )
    assert table["value"].to_list() == plain["value"].to_list()
    assert table["adjusted"].to_list() == pytest.approx(plain["value"].to_list(), rel=1e-12)
    for name in ("loans", "stands"):
        assert table[name].to_list() == plain[name].to_list()
    for name in ("low", "high", "shrunk", "funnel_low"):
        pairs = zip(table[name], plain[name], strict=True)
        assert all(ours == near(theirs) for ours, theirs in pairs), name
    assert table.filter(pl.col("loans") > 1)["alone"].max() == 0


@pytest.mark.parametrize("number", range(0, len(CASES), 3))
def test_neither_order_nor_shards_matter_to_the_last_bit(number: int) -> None:
    book = generated(number).book
    for facts in (support.shuffled(book.facts, number), support.resharded(book.facts, 2)):
        for metric in ("fimr", "par1", "on_time_rate", "d06_slippage"):
            other = Book(facts, book.as_of, book.policy)
            assert peers(other, metric).equals(peers(book, metric))


def test_shards_of_the_sample_do_not_matter_to_the_last_bit() -> None:
    book = BOOK
    facts = support.shuffled(support.resharded(book.facts, 700), 1)
    for metric in ("par1", "frr"):
        assert peers(Book(facts, book.as_of, book.policy), metric).equals(peers(book, metric))


def lent(officer: str, region: str, loans: int, missed: int) -> tuple[list[Row], list[Row]]:
    """Loans that all fell due in one installment, of which so many were not paid."""
    names = [f"{officer}-{region}-{number}" for number in range(loans)]
    made = [
        {
            "loan_id": name,
            "officer_id": officer,
            "region": region,
            "branch": region,
            "loan_amount": 100,
            "disbursement_date": date(2026, 6, 1),
            "maturity_date": date(2026, 6, 15),
        }
        for name in names
    ]
    paid = [
        {
            "repayment_id": name,
            "loan_id": name,
            "payment_date": date(2026, 6, 15),
            "payment_amount": 100,
            "principal_paid": 100,
        }
        for name in names[missed:]
    ]
    return made, paid


def test_who_lends_in_a_hard_region_is_not_called_bad_for_it() -> None:
    lots = [
        lent("A", "Hard", 160, 80),
        lent("A", "Easy", 40, 4),
        lent("B", "Hard", 16, 8),
        lent("B", "Easy", 240, 24),
    ]
    lots.append(lent("C", "Easy", 60, 30))
    book = lender(*lots)
    raw = {row["officer_id"]: row["stands"] for row in certainty(book, "fimr").iter_rows(named=True)}
    held = {row["officer_id"]: row for row in peers(book, "fimr", traits=("region",)).iter_rows(named=True)}
    assert raw == {"A": "high", "B": "low", "C": "high"}
    assert {officer: row["stands"] for officer, row in held.items()} == {
        "A": "inside",
        "B": "inside",
        "C": "high",
    }
    assert held["A"]["value"] == pytest.approx(84 / 200)
    assert held["A"]["expected"] == pytest.approx((160 * 0.5 + 40 * 58 / 340) / 200)
    assert held["A"]["alone"] == pytest.approx(160 / 200)
    assert held["C"]["relative"] == pytest.approx(30 / (60 * 58 / 340))


def lender(*lots: tuple[list[Row], list[Row]]) -> Book:
    rows = {
        "loans": [row for made, _ in lots for row in made],
        "repayments": [row for _, paid in lots for row in paid],
    }
    return support.book_of(rows, support.SAMPLE_DAY, Policy(min_rank_loans=5))[0]


def test_one_miss_of_few_loans_is_no_evidence_where_misses_are_rare() -> None:
    """It lies beyond the funnel, whose limits are a normal curve's; yet one in fifteen like the book have one."""
    book = lender(lent("one", "Easy", 10, 1), lent("many", "Easy", 10, 6), lent("rest", "Easy", 1_480, 3))
    for table in (certainty(book, "fimr"), peers(book, "fimr", traits=())):
        rows = {row["officer_id"]: row for row in table.iter_rows(named=True)}
        assert rows["one"]["value"] > rows["one"]["funnel_high"]
        assert (rows["one"]["stands"], rows["many"]["stands"]) == ("inside", "high")


@pytest.mark.parametrize("loans", range(4, 40, 5))
def test_who_is_what_all_of_the_same_kinds_are_stands_inside(loans: int) -> None:
    """Nothing is left to chance where no kind has both: there, only rounding tells observed from expected."""
    lots = [lent("A", "Easy", loans, 0), lent("A", "Odd", loans % 7 + 1, loans % 7 + 1)]
    table = peers(lender(*lots, lent("B", "Easy", 100, 0)), "fimr", traits=("region",))
    assert set(table["stands"]) == {"inside"}


def test_by_default_regions_are_told_apart_unless_they_are_compared() -> None:
    book = BOOK
    assert peers(book, "par7").equals(peers(book, "par7", traits=("region", "size", "term", "age")))
    for by in ("branch", "region"):
        usual = peers(book, "par7", GROUPS[by])
        assert usual.equals(peers(book, "par7", GROUPS[by], ("size", "term", "age")))
        assert usual.schema == {**dict.fromkeys(GROUPS[by], pl.String), **SCHEMA}
    within = peers(book, "par7", GROUPS["branch"], ("region",))
    assert not within.equals(peers(book, "par7", GROUPS["branch"], ()))


def test_a_book_without_such_loans_has_no_rows() -> None:
    empty, _ = support.book_of({"loans": []}, support.SAMPLE_DAY, Policy())
    for by in ("officer", "book"):
        assert peers(empty, "fimr", GROUPS[by]).schema == {**dict.fromkeys(GROUPS[by], pl.String), **SCHEMA}
        assert peers(empty, "fimr", GROUPS[by]).is_empty()
        assert certainty(empty, "fimr", GROUPS[by]).is_empty()


@pytest.mark.parametrize(
    ("metric", "by", "traits", "said"),
    [
        ("risk_score", "officer", None, "risk_score is no ratio of two sums over loans"),
        ("fimr", "officer", ("regoin",), "unknown trait: regoin"),
        ("fimr", "region", ("size", "region"), "region tells no kinds of loans apart here"),
        ("channel_purity", "officer", ("channel",), "channel tells no kinds of loans apart here"),
    ],
)
def test_what_cannot_be_asked(metric: str, by: str, traits: tuple[str, ...] | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        peers(BOOK, metric, GROUPS[by], traits)


def test_every_trait_can_tell_loans_apart() -> None:
    book = BOOK
    one = peers(book, "par1", traits=())
    for trait in TRAITS:
        assert not peers(book, "par1", traits=(trait,)).equals(one), trait
