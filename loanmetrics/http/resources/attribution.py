"""Officers by the loans that were theirs on another day than today."""

from typing import Literal

from loanmetrics.http.fields import Field, Fields
from loanmetrics.http.parameters import DatedPaging, Text, Texts
from loanmetrics.http.resources.cohorts import kept, made, named
from loanmetrics.http.resources.metrics import meta
from loanmetrics.http.routes import Asked
from loanmetrics.jobs.attribution import by_rule
from loanmetrics.jobs.listing import Listing

ATTRIBUTION: Fields = (
    Field("officer_id", "text", null=False),
    Field("officer_name", "text", "Null where the lender has none", sortable=False),
    Field("region", "text", "The officer's home", null=False),
    Field("branch", "text", "The officer's home", null=False),
    Field("metric", "text", null=False),
    Field("now", "ratio", "By whom loans are with now, unrounded; null also where the officer has none now"),
    Field("band_now", "text"),
    Field("attributed", "ratio", "By whom loans were with on the day that the rule names"),
    Field("band_attributed", "text"),
    Field("gained", "bigint", "Loans that others have now", null=False),
    Field("lost", "bigint", "Loans of now that were others'", null=False),
    Field(
        "unrecorded",
        "bigint",
        "Loans attributed whose day lies before recorded_since: given to the first officer known since",
        null=False,
    ),
    Field("recorded_since", "date", "From when on it is recorded whom loans are with", null=False),
)


class AttributionQuery(DatedPaging, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which metric, by whom loans were with when disbursed or when first past due."""

    metric: Text = "fimr"
    rule: Literal["origination", "first_late"] = "origination"
    officer_id: Texts = ()


def attribution(asked: Asked) -> Listing:
    """How each officer's figure would be, did loans count for whom they were with."""
    query: AttributionQuery = asked.query
    reading = asked.desk.reading(query.date)
    question = by_rule(query.rule, [query.metric])
    rows, run_id = kept(asked, (reading.day, query.rule, query.metric), made(asked, question, reading.day))
    about = {**meta(reading), "known_at": run_id}
    listing = Listing(rows, ("officer_id",), "-gained,-lost", about, named(asked))
    return listing.narrowed([("officer_id", query.officer_id)])
