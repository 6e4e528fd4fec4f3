"""Why a figure differs between two runs: the causes, in the order in which they are told."""

from typing import Final

DEFINITION: Final = "definition_changed"
POLICY: Final = "policy_changed"
DAY: Final = "day_passed"
HOLIDAYS: Final = "holidays_changed"
OFFICERS: Final = "officers_changed"
CHANNELS: Final = "channels_in_use_changed"
FROZEN_PAR15: Final = "frozen_par15_changed"
LOAN_NEW: Final = "loan_new"
LOAN_REMOVED: Final = "loan_removed"
LOAN_REASSIGNED: Final = "loan_reassigned"
LOAN_EDITED: Final = "loan_edited"
SCHEDULE_CHANGED: Final = "schedule_changed"
PAYMENT_NEW: Final = "payment_new"
PAYMENT_LATE: Final = "payment_late"
PAYMENT_EDITED: Final = "payment_edited"
PAYMENT_REVERSED: Final = "payment_reversed"
PAYMENT_REMOVED: Final = "payment_removed"
HELD_BACK: Final = "held_back"
RELEASED: Final = "released"
DATED_LATER: Final = "dated_later"
OFFICERS_COUNTED: Final = "officers_counted"
ROUNDING: Final = "rounding"
NO_EVIDENCE: Final = "no_evidence"
RANKED_ANEW: Final = "ranked_anew"
PUBLISHED_OTHERWISE: Final = "published_otherwise"

CAUSES: Final[dict[str, str]] = {
    DEFINITION: "A measure or a metric means something else.",
    POLICY: "The lender's conventions are others.",
    DAY: "Time alone: the same facts, looked at on another day.",
    HOLIDAYS: "Other days are business days.",
    OFFICERS: "Officers' own channels are others.",
    CHANNELS: "The book uses other channels, so officers are held to others.",
    FROZEN_PAR15: "PAR15 of the latest 15th was frozen, or frozen otherwise.",
    LOAN_REMOVED: "The loan is gone from the source.",
    LOAN_NEW: "The loan came, with its schedule.",
    LOAN_REASSIGNED: "The loan has another officer, branch or region: less for one, more for the other.",
    LOAN_EDITED: "The loan's own record was changed.",
    RELEASED: "A row that was held back is used.",
    HELD_BACK: "A row that was used is held back, as it breaks a rule.",
    SCHEDULE_CHANGED: "Installments were added, changed or taken away.",
    PAYMENT_NEW: "A payment came, dated on the first run's day or after it.",
    PAYMENT_LATE: "A payment came that is dated before the first run's day.",
    PAYMENT_EDITED: "A payment says something else, or belongs to another loan.",
    PAYMENT_REVERSED: "A payment was reversed.",
    PAYMENT_REMOVED: "A payment is gone from the source.",
    DATED_LATER: "Payments dated after the day: they only tell when a closed loan without a closing date ended.",
    OFFICERS_COUNTED: "Officers came to work or left it; each is counted once, so loans do not add up to this.",
    ROUNDING: "Scores are rounded to whole points.",
    NO_EVIDENCE: "There was, or is, nothing to divide by: see the measures beneath.",
    RANKED_ANEW: "A place depends on every officer.",
    PUBLISHED_OTHERWISE: "What was published is not what its facts give today: by other formulas or another version.",
}
