"""What a failed run says of itself: days and run ids stay, telephone numbers and addresses go."""

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loanmetrics.store.runs import reason

RUN_ID = "20261125T135558476-ab5729"
KEPT = re.compile(r"\d{8}T\d{9}-[0-9a-f]{6}|\d{4}-\d\d-\d\d")
DAYS = st.dates(date(1970, 1, 1), date(2199, 12, 31)).map(str)
RUNS = st.from_regex(r"20[0-9]{6}T[0-9]{9}-[0-9a-f]{6}", fullmatch=True)
GROUP = st.text("0123456789", min_size=3, max_size=4)
BETWEEN = st.sampled_from([" ", "-", "", ".", ") ", " - "])
COUNTRY = st.sampled_from(["", "+234 ", "+234-", "+1", "00234 "])
PHONES = st.tuples(COUNTRY, GROUP, BETWEEN, GROUP, BETWEEN, GROUP).map("".join)
EMAILS = st.from_regex(r"[a-z][a-z.0-9+-]{0,20}@[a-z0-9-]{1,20}\.(com|ng)", fullmatch=True)


@given(st.lists(DAYS | RUNS | PHONES | EMAILS, max_size=6), st.sampled_from([" of ", "\nand ", " x: "]))
def test_only_days_and_run_ids_are_left(words: list[str], between: str) -> None:
    left = [word if KEPT.fullmatch(word) else "[removed]" for word in words]
    assert reason(between.join(words)) == between.join(left)[:500]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("nothing is published for 2026-06-30", "nothing is published for 2026-06-30"),
        (f"run {RUN_ID} is no longer open", f"run {RUN_ID} is no longer open"),
        ("2026-06-01..2026-06-30", "2026-06-01..2026-06-30"),
        ("since 2026-11-25 13:55:58 UTC", "since 2026-11-25 13:55:58 UTC"),
        ("2026-06-30 0803 123 4567", "2026-06-30 [removed]"),
        ("0803 123 4567 2026-06-30", "[removed] 2026-06-30"),
        ("0803-12-34567, +2026-06-30", "[removed], [removed]"),
        ("ada.eze@example.com: 5,904,123 rows", "[removed] 5,904,123 rows"),
    ],
)
def test_what_stands_beside_a_day(said: str, left: str) -> None:
    assert reason(said) == left
