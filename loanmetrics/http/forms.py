"""Lists in the form the client wants: one page of JSON, or the whole of it as an export."""

import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import falcon

from loanmetrics.errors import UsageError
from loanmetrics.http import fields as fields_
from loanmetrics.http.parameters import Cursor, Paging
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.routes import Answer, Asked, Route
from loanmetrics.jobs.listing import Listing

if TYPE_CHECKING:
    import polars as pl

JSON = "application/json"
PDF = "application/pdf"
MEDIA = {
    "json": JSON,
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def wanted(route: Route, query: Any, request: falcon.Request) -> str:
    """The media type to answer with: ``format`` before ``Accept``."""
    known = media(route)
    if len(known) == 1:
        return JSON
    asked = getattr(query, "format", None)
    if asked:
        return known[asked]
    accepted = request.client_prefers(list(known.values())) if request.accept != "*/*" else JSON
    if accepted is None:
        raise ProblemError(HTTPStatus.NOT_ACCEPTABLE, f"to be had are {', '.join(known.values())}")
    return accepted


def media(route: Route) -> dict[str, str]:
    """The media types that a route answers with, by the names that ``format`` knows them by."""
    return MEDIA if route.is_list else {"json": JSON, **({"pdf": PDF} if route.sheet else {})}


def order(asked: Asked, listing: Listing) -> tuple[str, ...]:
    """The columns a list is sorted by."""
    return fields_.ordering(asked.route.fields, asked.query.sort, listing.sort, listing.key)


def page(asked: Asked, listing: Listing) -> Answer:
    """One page, and where the next one begins."""
    query: Paging = asked.query
    chosen, steps = fields_.chosen(asked.route.fields, query.fields), order(asked, listing)
    goes_on = isinstance(query, Cursor)
    after = query.cursor if isinstance(query, Cursor) and query.cursor else None
    if after and query.page > 1:
        raise ProblemError.bad("page", "goes without cursor")
    skip = 0 if after else (query.page - 1) * query.per_page
    try:
        found = listing.page(steps, query.per_page, skip, after)
    except UsageError as error:
        raise ProblemError.bad("cursor", str(error)) from None
    meta: dict[str, Any] = {
        "total": found.total,
        "page": query.page,
        "per_page": query.per_page,
        "total_pages": math.ceil(found.total / query.per_page),
        **listing.meta,
        **({"next_cursor": found.next_cursor} if goes_on else {}),
    }
    return Answer(fields_.rows(found.rows, chosen), meta, officers=_officers(asked.route, steps, found.rows))


def _officers(route: Route, steps: tuple[str, ...], rows: "pl.DataFrame") -> list[str] | None:
    """Whose audits a page shows; sorted by audits, which officers it shows depends on all of them."""
    audits = {field.source for field in route.fields if field.audit}
    if any(step.lstrip("-") in audits for step in steps):
        return None
    return rows["officer_id"].unique().to_list() if audits else []
