"""What an export says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from urllib.parse import quote, urlencode

import msgspec

HEADER = "Loanmetrics-"
DATATYPES = {
    **dict.fromkeys(("money", "rate"), "decimal"),
    **dict.fromkeys(("int", "bigint", "score", "rank"), "integer"),
    **dict.fromkeys(("ratio", "points"), "double"),
    **{"bool": "boolean", "date": "date", "timestamp": "dateTime"},
}
LONGEST_HEADER = 2000  # proxies and clients refuse headers of more than 4 to 8 KB, all told
SAFE = " /:,.()+-_"


@dataclass(frozen=True, slots=True)
class ColumnAbout:
    """One column: ``kind`` as in tables.py, or ratio, score, rank; ``about`` is its definition."""

    name: str
    kind: str
    title: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """Which figures these are: of which run and day, known when, narrowed by what."""

    title: str
    run_id: str
    known_at: str | None
    as_of: date | str | None
    calculated_at: datetime | str | None
    filters: Mapping[str, object] = field(default_factory=dict)
    policy_hash: str = ""

    def rows(self) -> list[tuple[str, str]]:
        """Everything as pairs of text, for people."""
        said = [
            ("title", self.title),
            ("run_id", self.run_id),
            ("known_at", self.known_at or self.run_id),
            ("as_of", _text(self.as_of)),
            ("calculated_at", _text(self.calculated_at)),
            ("policy_hash", self.policy_hash),
        ]
        return [*said, *((f"filter {name}", _text(value)) for name, value in self.filters.items())]

    def as_metadata(self, columns: Sequence[ColumnAbout]) -> dict[str, str]:
        """Everything as a file's key-value metadata; filters and columns as JSON."""
        plain = {name: value for name, value in self.rows() if not name.startswith("filter ")}
        filters = {name: _text(value) for name, value in self.filters.items()}
        told = {
            **plain,
            "filters": msgspec.json.encode(filters).decode(),
            "columns": msgspec.json.encode([asdict(column) for column in columns]).decode(),
        }
        return {f"loanmetrics.{name}": value for name, value in told.items()}

    def as_csvw(self, columns: Sequence[ColumnAbout], name: str) -> bytes:
        """What a CSV file called ``name`` is, for a file beside it: metadata as W3C's CSV on the Web has it."""
        described = [
            {
                "name": it.name,
                "titles": it.title,
                "dc:description": it.about,
                "datatype": DATATYPES.get(it.kind, "string"),
            }
            for it in columns
        ]
        plain = {key: value for key, value in self.rows() if value and not key.startswith("filter ")}
        told = {
            "@context": "http://www.w3.org/ns/csvw",
            "url": name,
            "dc:title": plain.pop("title"),
            **{f"loanmetrics:{key}": value for key, value in plain.items()},
            "loanmetrics:filters": {key: _text(value) for key, value in self.filters.items()},
            "tableSchema": {"columns": described},
        }
        return msgspec.json.format(msgspec.json.encode(told), indent=2)

    def as_headers(self) -> dict[str, str]:
        """Everything but definitions as HTTP headers, in safe ASCII: other letters as in a URL."""
        plain = {
            name.replace("_", "-").title(): quote(value, SAFE)
            for name, value in self.rows()
            if value and not name.startswith("filter ")
        }
        if self.filters:
            pairs = [(name, _text(value)) for name, value in self.filters.items()]
            plain["Filters"] = urlencode(pairs)
        return {f"{HEADER}{name}": value[:LONGEST_HEADER] for name, value in plain.items()}


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case list() | tuple() | set() | frozenset():
            return ", ".join(map(_text, value))
    return str(value)
