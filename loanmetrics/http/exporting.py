"""The whole of a filtered list as a file, streamed."""

import tempfile
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

import falcon
import msgspec

from loanmetrics.errors import UsageError
from loanmetrics.export import About, ColumnAbout, sheet, write
from loanmetrics.export.sheet import Sheet
from loanmetrics.http import fields as fields_
from loanmetrics.http import forms
from loanmetrics.http.fields import Field
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.routes import Asked
from loanmetrics.http.table import BASE
from loanmetrics.jobs import officer_sheet
from loanmetrics.jobs.listing import Listing
from loanmetrics.store import runs

BYTES_AT_ONCE = 1 << 16
SUFFIXES = {media: suffix for suffix, media in forms.MEDIA.items()}


def send(asked: Asked, listing: Listing, form: str, response: falcon.Response) -> None:
    """Write all rows to a nameless file and stream it: memory stays flat however many there are."""
    suffix = SUFFIXES[form]
    chosen = tuple(_flat(fields_.chosen(asked.route.fields, asked.query.fields)))
    about = _about(asked, listing)
    with tempfile.TemporaryDirectory(prefix="loanmetrics-export-") as folder:
        path = Path(folder) / f"{asked.route.name}.{suffix}"
        batches = listing.batches(forms.order(asked, listing), {field.name: field.source for field in chosen})
        columns = [_column(field) for field in chosen]
        try:
            write(path, batches, columns, about, suffix, rows=listing.count() if suffix == "xlsx" else None)
        except UsageError as error:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        size, file = path.stat().st_size, path.open("rb")
    asked.desk.exported(asked.member, asked.route.name, about)
    _stream(response, file, size, form, f"{asked.route.name}.{suffix}", about)


def send_sheet(asked: Asked, made: Sheet, about: About, response: falcon.Response) -> None:
    """Send one sheet of paper; it is an export like any other."""
    with tempfile.TemporaryDirectory(prefix="loanmetrics-export-") as folder:
        path = Path(folder) / f"{asked.route.name}.pdf"
        sheet.write(path, made, about)
        size, file = path.stat().st_size, path.open("rb")
    asked.desk.exported(asked.member, officer_sheet.WHAT, about)
    _stream(response, file, size, forms.PDF, f"{asked.route.name}.pdf", about)


def _stream(response: falcon.Response, file: BinaryIO, size: int, form: str, name: str, about: About) -> None:
    response.content_type = form
    response.content_length = size
    response.stream = _Chunks(file)
    response.set_header("Content-Disposition", f'attachment; filename="{name}"')
    # Every field with its definition: a CSV holds nothing but its rows.
    response.append_link(f"{BASE}/openapi.json", "describedby")
    for header, value in about.as_headers().items():
        response.set_header(header, value)


class _Chunks:
    """A file in pieces, closed when all is read or the client has gone."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        with self._file:
            while piece := self._file.read(BYTES_AT_ONCE):
                yield piece

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


def _flat(fields: tuple[Field, ...]) -> Iterator[Field]:
    """An object of bands becomes one column per band."""
    for field in fields:
        if field.kind != "bands":
            yield field
        for name, column in (field.parts or {}).items():
            yield Field(f"{name}_band", "text", f"Band of {name}", column)


def _column(field: Field) -> ColumnAbout:
    return ColumnAbout(field.name, field.kind, field.name.replace("_", " "), field.about)


def _about(asked: Asked, listing: Listing) -> About:
    meta = listing.meta
    run_id = meta.get("run_id") or asked.desk.run()
    return About(
        title=asked.route.summary,
        run_id=run_id,
        known_at=meta.get("known_at", run_id),
        as_of=meta.get("calculation_date"),
        calculated_at=meta.get("calculated_at"),
        filters=_filters(asked, listing),
        policy_hash=_policy_hash(asked, run_id),
    )


def _policy_hash(asked: Asked, run_id: str) -> str:
    """The policy that the run went by."""
    with asked.desk.reader() as connection:
        found = runs.find(connection, run_id)
    return str(found["policy_hash"]) if found else ""


def _filters(asked: Asked, listing: Listing) -> Mapping[str, str]:
    """What the list was narrowed by, asked for or not; paging is not."""
    said: dict[str, Any] = msgspec.to_builtins(asked.query) | dict(listing.unasked)
    left_out = ("page", "per_page", "fields", "format", "cursor")
    return {
        name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for name, value in said.items()
        if name not in left_out and value not in (None, "", [], ())
    }
