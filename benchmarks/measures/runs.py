"""P5 and P6: runs of the command line, source to published, each a process from its imports to its last word."""

import random
from datetime import date, timedelta

import psycopg
from figure import Check, Figure, Runs
from lab import DAY, TOUCH, Lab, Timed, runs_of

SHARE = 0.01
AT_ONCE = 10_000  # loans touched by one statement, as a lender's batch would
COLD = "cold: first run, everything read and published"
FULL = "everything read again (--full), nothing to publish"
TOUCHED = "1 % of loans touched since"
NOTHING = "nothing changed"
NEW_DAY = "first run of a new day"
PAYMENTS = """
    INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid, payment_method,
        created_at)
    SELECT %(mark)s || loan_id, loan_id, %(day)s, 100, 100, 'Transfer', %(day)s::date + time '10:00'
    FROM unnest(%(loans)s::text[]) AS loan_id
"""


def measure(lab: Lab) -> list[Figure]:
    """One after the other on one database: cold, touched, full, unchanged, new days."""
    once = 1 if lab.loans > 3_000_000 else lab.repeat
    runs: dict[str, list[Timed]] = {COLD: []}
    for _ in range(1 if lab.loans > 300_000 else lab.repeat):
        lab.clean(lab.database)
        runs[COLD].append(_compute(lab, DAY, "read everything (first run)"))
    runs[TOUCHED] = [_touched(lab, turn) for turn in range(lab.repeat)]
    # A full run that has nothing to publish proves that the runs before it published what a full run does.
    runs[FULL] = [_compute(lab, DAY, "0 rows changed", "--full") for _ in range(once)]
    runs[NOTHING] = [_compute(lab, DAY, "0 rows changed") for _ in range(lab.repeat)]
    runs[NEW_DAY] = [_compute(lab, DAY + timedelta(after), "as of") for after in range(1, lab.repeat + 1)]
    return _figures(lab, {name: runs_of(done) for name, done in runs.items()})


def _figures(lab: Lab, runs: dict[str, Runs]) -> list[Figure]:
    cold, full, touched = (runs[name].median for name in (COLD, FULL, TOUCHED))
    p5 = Figure(
        "P5",
        "15-minute run, source to published, wall of the process",
        [
            Check("1 % touched, of the first run", 100 * touched / cold, 8, "%"),
            Check(
                "1 % touched, of a full run that publishes nothing",
                100 * touched / full,
                8,
                "%",
            ),
            Check("nothing changed", runs[NOTHING].median, 1.5, "s"),
        ],
        {name: runs[name] for name in (COLD, FULL, TOUCHED, NOTHING)},
        f"{int(lab.loans * SHARE):,} loans at random got a payment before each touched run; full runs after them found "
        "nothing to change.",
    )
    warm = max(runs[name].peak for name in (TOUCHED, NOTHING, NEW_DAY))
    p6 = Figure(
        "P6",
        "Cold and warm runs at this size, limits those of the ceiling",
        [
            Check("cold", cold, 240, "s"),
            Check("warm, 1 % touched", touched, 15, "s"),
            Check("first run of a new day", runs[NEW_DAY].median, 45, "s"),
            Check("cold, peak memory", runs[COLD].peak / 1024, 5, "GiB"),
            Check("warm, peak memory", warm / 1024, 1.5, "GiB"),
        ],
        {name: runs[name] for name in (COLD, TOUCHED, NEW_DAY)},
    )
    return [p5, p6]


def _compute(lab: Lab, day: date, expected: str, *words: str) -> Timed:
    done = lab.command_line("compute", "--as-of", day, *words)
    if expected not in done.out:
        raise SystemExit(f"compute as of {day} did not say '{expected}' but: {done.out}")
    return done


def _touched(lab: Lab, turn: int) -> Timed:
    touch(lab.database, lab.loans, turn)
    done = _compute(lab, DAY, "as of")
    if "read everything" in done.out:
        raise SystemExit(f"what changed was not known: {done.out}")
    return done


def touch(url: str, loans: int, turn: int) -> None:
    """A payment for a share of all loans, drawn at random; another share each turn."""
    numbers = random.Random(turn).sample(range(1, loans + 1), max(1, int(loans * SHARE)))
    with psycopg.connect(url, autocommit=True) as connection:
        for start in range(0, len(numbers), AT_ONCE):
            ids = [f"L{number:08}" for number in numbers[start : start + AT_ONCE]]
            connection.execute(PAYMENTS, {"mark": f"{TOUCH}{turn}-", "day": DAY, "loans": ids})
