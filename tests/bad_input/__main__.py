"""How many inputs each front is tried with: python -m tests.bad_input."""

import sys

from loanmetrics.http.table import ROUTES
from tests.bad_input import conventions, files, requests, rows
from tests.bad_input.requests import BODY_FIELDS, CONDITIONAL, PARAMETERS, POSTED
from tests.http.test_tokens import CHANGED, FORGED, OUTSIDE

GIANTS = 3
ENDS = ("held back by name", "refused", "used as defined, named if odd", "refused, or nothing found")


def counts() -> list[tuple[str, str, int, str]]:
    """Front, what is wrong there, how many inputs, what must come of each."""
    held, refused, used, found = ENDS
    return [
        ("files", "rows of CSV", len(files.ROWS) + len(files.LINES), held),
        ("files", "cells of Parquet", len(files.PARQUET_CELLS), held),
        ("files", "whole files", len(files.NOT_READ) + len(files.NESTED) + GIANTS, refused),
        ("PostgreSQL", "rows that break a rule", len(rows.HELD), held),
        ("PostgreSQL", "odd rows", len(rows.ODD), used),
        ("PostgreSQL", "nulls, one per column", len(rows.NULLS), used),
        ("PostgreSQL", "texts, in every column", len(rows.TEXTS), used),
        ("PostgreSQL", "values of other types", len(rows.FOREIGN), held),
        ("policy", "files", len(conventions.POLICIES) + len(conventions.PLACES), refused),
        ("settings", "files and variables", len(conventions.SETTINGS), refused),
        ("API", "values of every parameter", sum(len(names) for *_, names in PARAMETERS), found),
        ("API", "queries, of every route", len(ROUTES) * len(requests.QUERIES), refused),
        ("API", "paths", len(requests.PATHS), refused),
        ("API", "bodies, of every route that takes one", len(POSTED) * len(requests.BODIES), refused),
        ("API", "values of every field of a body", len(BODY_FIELDS) * len(requests.FIELDS), refused),
        ("API", "headers, to every route", len(ROUTES) * len(requests.HEADERS), "no 5xx"),
        ("API", "versions and keys", len(CONDITIONAL) * len(requests.VERSIONS) + len(requests.KEYS), refused),
        ("API", "tokens", len(CHANGED) + len(FORGED) + len(OUTSIDE), refused),
    ]


def table() -> str:
    """The same in Markdown."""
    told = counts()
    lines = ["| front | input | tried | each is |", "|---|---|---|---|"]
    lines += [f"| {front} | {what} | {number:,} | {end} |" for front, what, number, end in told]
    total = sum(number for _, _, number, _ in told)
    return "\n".join([*lines, f"| all | | **{total:,}** | |", ""])


if __name__ == "__main__":
    sys.stdout.write(table())
