"""Odd but usable facts that show only at a day: counted, never dropped."""

import polars as pl

from loanmetrics.engine.book import Book
from loanmetrics.engine.state import State, used_channels


def of_shard(state: State) -> dict[str, int]:
    """Loans of one shard that closed without a date, or were reopened by a reversal."""
    return {
        "closed_without_date": int(state.ledger.closed_without_date.sum()),
        "reopened_after_close": int(state.reopened.sum()),
    }


def of_officers(book: Book) -> dict[str, int]:
    """Officers whose own channel no loan of the book uses."""
    given = book.facts.officers.filter(pl.col("primary_channel").is_not_null())
    return {
        "channel_unknown": len(given.filter(~pl.col("primary_channel").is_in(used_channels(book).implode())))
    }
