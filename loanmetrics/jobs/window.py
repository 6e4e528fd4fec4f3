"""Words for a figure that moved with its window of days, rather than by what anybody did."""

from loanmetrics.engine.diff.told import Changed
from loanmetrics.engine.window import grew_old
from loanmetrics.formatting import step
from loanmetrics.jobs.catalogue import kinds


def window(figure: Changed) -> str | None:
    """A sentence for people where a figure moved mostly because old evidence left its window."""
    effect, kind = grew_old(figure), kinds()[figure.name]
    if effect is None or figure.change is None:
        return None
    return (
        f"{step(effect, kind)} of the change of {step(figure.change, kind)} is evidence that grew old and left the "
        "window of days looked at. By that alone nothing got better or worse."
    )
