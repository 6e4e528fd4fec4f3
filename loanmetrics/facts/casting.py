"""How a value of a file becomes a value of a table: per kind, SQL for the value and for what is wrong.

Nothing is rounded or guessed: what is present and not plainly of its kind becomes null and breaks a rule.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from loanmetrics.facts.prepare import SQL_TYPES
from loanmetrics.tables import Column, Kind, Table

SCALES: dict[Kind, int] = {"money": 2, "rate": 6}
INTEGERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
)
KEY_LENGTH, TEXT_LENGTH = 200, 10_000
TRUE, FALSE = "('true', 't', 'yes', 'y', '1')", "('false', 'f', 'no', 'n', '0')"
DAY = r"\d{4}-\d{2}-\d{2}"
# COPY would take a line of \. inside a quoted text for the end of the data.
END_OF_COPY = r"chr(10) || '\.'"


@dataclass(frozen=True, slots=True)
class Check:
    """One way a row can be bad: ``bad`` is SQL over the given and the cast columns."""

    rule: str
    field: str
    bad: str


@dataclass(frozen=True, slots=True)
class Given:
    """A column as the file holds it: ``sql`` is its value, blank text being null; ``type`` is DuckDB's."""

    sql: str
    type: str

    @property
    def text(self) -> str:
        """The value as text."""
        if self.type == "VARCHAR":
            return self.sql
        if self.type in ("DOUBLE", "FLOAT"):
            whole = f"{self.sql} = trunc({self.sql}) AND abs({self.sql}) < 9e15"
            return f"CASE WHEN {whole} THEN {self.sql}::BIGINT::VARCHAR ELSE {self.sql}::VARCHAR END"
        return f"{self.sql}::VARCHAR"


def cast(kind: Kind, given: Given) -> str:
    """SQL for the value of ``kind``, null where ``given`` is no such value."""
    if _fits(kind, given):
        return given.text if kind == "text" else given.sql
    match kind:
        case "money" | "rate":
            return _decimal(SQL_TYPES[kind], given)
        case "int" | "bigint" | "serial":
            return _integer(SQL_TYPES[kind], given)
        case "date":
            return _date(given)
        case "timestamp":
            return _timestamp(given)
        case "bool":
            return _bool(given)
        case _:
            return given.text


def checks(table: Table, column: Column, given: Given) -> Iterator[Check]:
    """What can be wrong with one value, most basic first; ``column.name`` is the cast value."""
    if not _fits(column.kind, given):
        yield Check(f"bad_{column.kind}", column.name, f"{given.sql} IS NOT NULL AND {column.name} IS NULL")
    if column.kind == "text":
        limit = KEY_LENGTH if column.name in {*table.key, *table.identity} else TEXT_LENGTH
        odd = f"contains({column.name}, chr(0)) OR contains({column.name}, {END_OF_COPY})"
        long = f"strlen({column.name}) > {limit} AND length({column.name}) > {limit}"
        yield Check("bad_text", column.name, f"{long} OR {odd}")
    if (
        column.kind in SCALES
        and not _fits(column.kind, given)
        and (rounded := _loses_decimals(SCALES[column.kind], column.name, given))
    ):
        yield Check("too_many_decimals", column.name, rounded)


def untidy(text: str) -> str:
    """Whether a text is blank or has outer blanks: a quick test for those that have none."""
    ends = " OR ".join(f"ends_with({text}, {blank})" for blank in ("' '", "chr(9)", "chr(10)", "chr(13)"))
    return f"({text} < '!' OR {ends})"


def _fits(kind: Kind, given: Given) -> bool:
    """Whether any value of the given type is one of ``kind`` as it is."""
    return kind == "text" or given.type == SQL_TYPES[kind]


def _decimal(type_: str, given: Given) -> str:
    if given.type.startswith("DECIMAL") or given.type in INTEGERS:
        return f"TRY_CAST({given.sql} AS {type_})"
    if given.type == "DOUBLE":
        return f"CASE WHEN isfinite({given.sql}) THEN TRY_CAST({given.sql} AS {type_}) END"
    plain = r"[+-]?(\d+\.?\d*|\.\d+)"
    return f"CASE WHEN regexp_full_match({given.text}, '{plain}') THEN TRY_CAST({given.text} AS {type_}) END"


def _loses_decimals(scale: int, name: str, given: Given) -> str | None:
    if given.type.startswith("DECIMAL"):
        return f"{given.sql} <> {name}"
    if given.type in INTEGERS:
        return None
    if given.type == "DOUBLE":
        noise = f"greatest(1e-9, abs({given.sql}) * 4.5e-16)"
        return f"abs({given.sql} - round({given.sql}, {scale})) > {noise}"
    return rf"regexp_matches({given.text}, '\.\d{{{scale}}}\d*[1-9]')"


def _integer(type_: str, given: Given) -> str:
    if given.type in INTEGERS:
        return f"TRY_CAST({given.sql} AS {type_})"
    whole = rf"regexp_full_match({given.text}, '[+-]?\d+(\.0*)?')"
    return f"CASE WHEN {whole} THEN TRY_CAST({given.text} AS {type_}) END"


def _date(given: Given) -> str:
    if given.type.startswith("TIMESTAMP"):
        return f"TRY_CAST({given.sql} AS DATE)"
    whole = f"regexp_full_match({given.text}, '{DAY}')"
    timed = rf"regexp_full_match({given.text}, '{DAY}[ T]\d.*')"
    return (
        f"CASE WHEN {whole} THEN TRY_CAST({given.text} AS DATE) "
        f"WHEN {timed} THEN CAST(TRY_CAST({given.text} AS TIMESTAMPTZ) AS DATE) END"
    )


def _timestamp(given: Given) -> str:
    if given.type.startswith("TIMESTAMP") or given.type == "DATE":
        return f"CASE WHEN isfinite({given.sql}) THEN TRY_CAST({given.sql} AS TIMESTAMPTZ) END"
    timed = f"regexp_full_match({given.text}, '{DAY}([ T].*)?')"
    return f"CASE WHEN {timed} THEN TRY_CAST({given.text} AS TIMESTAMPTZ) END"


def _bool(given: Given) -> str:
    word = f"lower({given.text})"
    return f"CASE WHEN {word} IN {TRUE} THEN true WHEN {word} IN {FALSE} THEN false END"
