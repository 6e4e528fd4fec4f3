"""Paths and texts inside SQL, for both engines."""

import glob
from pathlib import Path

from loanmetrics.errors import UsageError

# How DuckDB reads what PostgreSQL's COPY wrote as CSV: an empty text is none, unless it is quoted.
COPIED = (
    "header = false, auto_detect = false, delim = ',', quote = '\"', escape = '\"', "
    "nullstr = '', allow_quoted_nulls = false"
)


def literal(value: Path | str) -> str:
    """A path or a text as an SQL literal.

    >>> literal("Ikeja's loans")
    "'Ikeja''s loans'"
    """
    return "'" + utf8(value).replace("'", "''") + "'"


def one_file(path: Path) -> str:
    """The literal that a DuckDB reader takes for this very file, whatever pattern its name looks like."""
    return literal(glob.escape(utf8(path)))


def files_like(folder: Path, pattern: str) -> str:
    """The literal that a DuckDB reader takes for the files of one folder whose names fit a pattern."""
    return literal(f"{glob.escape(utf8(folder))}/{pattern}")


def utf8(value: Path | str) -> str:
    """A path or a text as both engines can take it; a name of other bytes is refused."""
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = text.encode(errors="backslashreplace").decode()
        raise UsageError(f"not a UTF-8 name: {shown}", "rename it") from None
    return text
