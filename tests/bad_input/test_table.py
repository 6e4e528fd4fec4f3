"""The page claims no more inputs than are tried."""

import re
from pathlib import Path

import pytest

from tests.bad_input.__main__ import counts

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.mark.parametrize(("front", "what", "tried", "end"), counts(), ids=str)
def test_the_page_claims_no_more_than_is_tried(front: str, what: str, tried: int, end: str) -> None:
    row = re.search(rf"\| {front} \| {re.escape(what)} \| ([\d,]+) \| {re.escape(end)} \|", PAGE.read_text())
    assert row
    assert 0 < int(row[1].replace(",", "")) <= tried
