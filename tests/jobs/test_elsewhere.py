"""Work of another process: its answer, its errors, its end; and the loans of a day made there."""

import os
import signal
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from loanmetrics.errors import StoreError, UsageError
from loanmetrics.jobs import days
from loanmetrics.jobs.days import Where
from loanmetrics.jobs.elsewhere import elsewhere
from tests.jobs.lender import lender_at
from tests.support import SAMPLE_DAY


def refuse(what: str) -> None:
    raise UsageError(f"no {what}", "another one", field="what")


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_answer_comes_from_another_process() -> None:
    assert elsewhere(partial(divmod, 7, 2)) == (3, 1)
    assert elsewhere(os.getpid) != os.getpid()


def test_an_error_comes_whole() -> None:
    with pytest.raises(UsageError, match="no day") as raised:
        elsewhere(partial(refuse, "day"))
    assert (raised.value.hint, raised.value.field) == ("another one", "what")


def test_an_end_is_told() -> None:
    with pytest.raises(StoreError, match="ended with -9"):
        elsewhere(end)


def test_many_loans_are_made_elsewhere_and_are_the_same(
    sample: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of one day, all of two: made here, and made there; no file is made twice."""
    here, there = date(2026, 3, 3), date(2026, 3, 4)
    asked = list[object]()

    def counted(work: partial[None]) -> None:
        asked.append(work)
        elsewhere(work)

    monkeypatch.setattr(days, "elsewhere", counted)
    made = {}
    for limit in (days.MOST_HERE, 0):
        monkeypatch.setattr(days, "MOST_HERE", limit)
        with lender_at(sample, tmp_path / str(limit)) as lender:
            lender.compute(SAMPLE_DAY, full=True)
            some = lender.rows(here, Where(officer_id=["O0001", "O0002"]))
            made[limit] = [some, *(lender.rows(day) for day in (here, there, here))]
    assert len(asked) == 3
    for one, other in zip(*made.values(), strict=True):
        assert_frame_equal(one, other, check_exact=True)
