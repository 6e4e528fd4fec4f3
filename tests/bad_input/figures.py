"""What a database says, without when it was said."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loanmetrics.tables import LENDER_TABLES
from tests.jobs.stored import asked

PUBLISHED = ("officer_metrics_daily", "branch_metrics_daily", "loan_state")
STAMPS = "{run_id,calculated_at,created_at,updated_at}"


def figures(url: str) -> list[list[Any]]:
    """All published figures, and the lender's rows they came from."""
    return [_content(url, name) for name in (*PUBLISHED, *(table.name for table in LENDER_TABLES))]


def _content(url: str, name: str) -> list[Any]:
    return [row for (row,) in asked(url, f"SELECT to_jsonb(t) - '{STAMPS}'::text[] FROM {name} t ORDER BY 1")]


@contextmanager
def untouched(url: str) -> Iterator[None]:
    """Whatever happens meanwhile leaves nothing behind: no row, no row held back, no figure."""
    kept = [*(table.name for table in LENDER_TABLES), "quarantined_rows", *PUBLISHED, "audit_tracking"]
    before = [_content(url, name) for name in kept]
    yield
    assert [_content(url, name) for name in kept] == before
