"""Faults to plant in the engine, one at a time: each breaks one rule, and the tests must notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """``old`` stands exactly once in ``file``, a module of the package, and becomes ``new``."""

    rule: str
    file: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "no loan is silent for longer than it is old",
        "engine/state.py",
        "np.maximum(disbursed, paid)",
        "paid",
    ),
    Mutant(
        "every loan has a last payment of its own",
        "engine/state.py",
        "return latest(rows.loan[brought], rows.day[brought], len(self.ledger.loans), NEVER)",
        "return latest(rows.loan[brought][:1], rows.day[brought][:1], len(self.ledger.loans), NEVER)",
    ),
    Mutant(
        "off the book nothing ages",
        "engine/state.py",
        '"loan_age": np.where(self.now.on_book, day - disbursed, 0)',
        '"loan_age": day - disbursed',
    ),
    Mutant(
        "the second score loses 40 for silence",
        "engine/metrics/risk_score.py",
        'Term("repayment_delay", 40,',
        'Term("repayment_delay", 30,',
    ),
    Mutant(
        "the second score loses for the yield that is missing",
        "engine/metrics/risk_score.py",
        '"1 - ayr"',
        '"ayr"',
    ),
    Mutant(
        "the second index is not multiplied by channel purity",
        "engine/metrics/dqi.py",
        "formula=weighted(50, 35, 15)",
        'formula=f"{weighted(50, 35, 15)} * {PURITY}"',
    ),
    Mutant("a revision counts from its day on", "policy.py", "if begin <= day", "if begin < day"),
    Mutant(
        "due on the day is not overdue",
        "engine/calendar.py",
        "return day + 1 if self.inclusive else day",
        "return day + 1",
    ),
    Mutant(
        "the first day past due is the day after",
        "engine/calendar.py",
        "np.where(late, np.asarray(day) - oldest + self.inclusive, 0)",
        "np.where(late, np.asarray(day) - oldest + 1, 0)",
    ),
    Mutant(
        "PAR15 begins at 16 days",
        "engine/measures.py",
        '"overdue_15d_amount",\n        "outstanding",\n        "dpd > 15"',
        '"overdue_15d_amount",\n        "outstanding",\n        "dpd >= 15"',
    ),
    Mutant(
        "a bucket ends on its last day", "engine/loan_state.py", "(0, 6, 30, 60, 90)", "(0, 6, 30, 59, 90)"
    ),
    Mutant(
        "a payment no longer counts on the day of its reversal",
        "engine/ledger.py",
        "(day < self.until)",
        "(day <= self.until)",
    ),
    Mutant(
        "a reversal leaves the days before it as they stood",
        "engine/timeline.py",
        "last = np.minimum(self.stop[lived] - 1, day)",
        "last = np.minimum(self.stop[lived], day)",
    ),
    Mutant(
        "a loan leaves the book on its closing date",
        "engine/timeline.py",
        "closed = ledger.closing[loan] <= day",
        "closed = ledger.closing[loan] < day",
    ),
    Mutant(
        "a final status without a date closes on the last payment",
        "engine/ledger.py",
        "np.where(self._last_payment != NEVER, self._last_payment, self.ending)",
        "self.ending",
    ),
    Mutant(
        "a written-off loan is never reopened",
        "engine/ledger.py",
        " & ~loans.written_off[rows.loan]",
        "",
    ),
    Mutant(
        "a window of n days does not hold the day n days back (loans)",
        "engine/state.py",
        "(disbursed > self.book.day - days)",
        "(disbursed >= self.book.day - days)",
    ),
    Mutant(
        "a window of n days does not hold the day n days back (payments)",
        "engine/state.py",
        "(rows.day > day - days)",
        "(rows.day >= day - days)",
    ),
    Mutant(
        "a window ahead holds its last day",
        "engine/state.py",
        "(day, day + self.book.policy.due_days)",
        "(day, day + self.book.policy.due_days - 1)",
    ),
    Mutant(
        "an unsplit amount pays fee, then interest, then principal",
        "engine/allocation.py",
        "for part in FILL_ORDER:\n        extra =",
        "for part in reversed(FILL_ORDER):\n        extra =",
    ),
    Mutant(
        "an unsplit amount comes after the split ones of its day",
        "engine/allocation.py",
        "rows.paid_until(rows.loan[waiting], rows.day[waiting])",
        "rows.paid_until(rows.loan[waiting], rows.day[waiting] - 1)",
    ),
    Mutant(
        "a surplus pays fees, interest, principal",
        "engine/allocation.py",
        "for part in FILL_ORDER:\n        left =",
        "for part in reversed(FILL_ORDER):\n        left =",
    ),
    Mutant(
        "a penalty waiver touches no schedule",
        "engine/ledger.py",
        "(kind != PENALTY) & ((kind != FEE) | carries_fee[loan])",
        "(kind != FEE) | carries_fee[loan]",
    ),
    Mutant(
        "a fee waiver is credited only where the schedule carries a fee",
        "engine/ledger.py",
        "(kind != PENALTY) & ((kind != FEE) | carries_fee[loan])",
        "kind != PENALTY",
    ),
    Mutant(
        "PAR15 is taken on the latest 15th",
        "engine/state.py",
        "self.timeline.at(latest_15th(day))",
        "self.timeline.at(day)",
    ),
    Mutant(
        "on the 15th the latest 15th is that day",
        "engine/calendar.py",
        "if today.day >= 15",
        "if today.day > 15",
    ),
    Mutant(
        "a frozen PAR15 set may name cells without a loan",
        "engine/run.py",
        'on=by, how="full", coalesce=True',
        'on=by, how="left", coalesce=True',
    ),
    Mutant(
        "the roll's cohort is 1 to 6 days late",
        "engine/measures.py",
        '"dpd_before BETWEEN 1 AND 6"',
        '"dpd_before BETWEEN 1 AND 7"',
    ),
    Mutant(
        "beyond 30 days is not rolled to 7 to 30",
        "engine/measures.py",
        "AND dpd BETWEEN 7 AND 30",
        "AND dpd >= 7",
    ),
    Mutant(
        "halves round away from zero",
        "engine/run.py",
        'near.round(0, mode="half_away_from_zero")',
        'near.round(0, mode="half_to_even")',
    ),
    Mutant(
        "a score is rounded to nine decimals first",
        "engine/run.py",
        'near = value.round(9, mode="half_away_from_zero")',
        "near = value",
    ),
    Mutant(
        "implied interest rounds half away from zero",
        "engine/ledger.py",
        "(2 * product + year) // (2 * year)",
        "product // year",
    ),
    Mutant(
        "a penalty never costs more than its weight",
        "engine/metric.py",
        "LEAST(1.0, GREATEST(0.0, COALESCE({self.share}, 0.0)))",
        "COALESCE({self.share}, 0.0)",
    ),
    Mutant(
        "no data is not zero",
        "engine/metric.py",
        "{part} / NULLIF({whole}, 0)",
        "COALESCE({part} / NULLIF({whole}, 0), 0.0)",
    ),
    Mutant(
        "an amount within the tolerance does not make a loan late",
        "engine/timeline.py",
        "credited + tolerance, side",
        "credited, side",
    ),
    Mutant(
        "an amount within the tolerance closes the loan",
        "engine/timeline.py",
        "(outstanding > tolerance)",
        "(outstanding > 0)",
    ),
    Mutant(
        "an officer is counted once in every group",
        "engine/run.py",
        "filter(pl.col(measure.name) > 0).n_unique()",
        "filter(pl.col(measure.name) > 0).count()",
    ),
    Mutant(
        "a holiday is no business day",
        "engine/calendar.py",
        "working[inside - FIRST_DAY + 1] = False",
        "working[inside - FIRST_DAY] = False",
    ),
    Mutant(
        "the first installment is decided the day after it fell due",
        "engine/first_payment.py",
        "(deadline < day)",
        "(deadline <= day)",
    ),
    Mutant(
        "on time is on the due date at the latest",
        "engine/state.py",
        "rows.paid_until(owner, dues.due[chosen])",
        "rows.paid_until(owner, dues.due[chosen] + 1)",
    ),
    Mutant(
        "the policy's channels stand in only where the officer's own is unused",
        "engine/state.py",
        "np.where(mine.any(axis=1)[:, None], mine, fallback[None, :])",
        "mine | fallback[None, :]",
    ),
    Mutant(
        "risk weighs more than yield in the rank",
        "engine/results.py",
        "RISK_PARTS, YIELD_PARTS = 6, 4",
        "RISK_PARTS, YIELD_PARTS = 4, 6",
    ),
)
