"""What of a figure's change is no news: evidence that left the days which the figure looks at."""

from decimal import Decimal

from loanmetrics.engine.diff.told import Changed
from loanmetrics.engine.rollforward import CEASED_TO_COUNT


def grew_old(figure: Changed) -> Decimal | None:
    """What old evidence did to a figure by leaving its window, if that is half of the change or more.

    A miss rate that falls because a miss is long ago says nothing of the loans since.
    """
    effect = next((it.effect for it in figure.causes if it.name == CEASED_TO_COUNT), None)
    if not effect or not figure.change or (effect > 0) != (figure.change > 0):
        return None
    return effect if 2 * abs(effect) >= abs(figure.change) else None
