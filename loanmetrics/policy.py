"""A lender's conventions: every rule that may differ between lenders, named, with the canonical default.

Amounts are in units of currency (naira, not kobo), windows in days. A policy is part of a run's identity:
its hash is stored with every figure.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, DecimalException
from functools import cache
from itertools import pairwise
from typing import Any, Literal, get_args
from zoneinfo import available_timezones

import msgspec

from loanmetrics.errors import WORD, UsageError, suggest, unknown
from loanmetrics.tables import LOAN_STATUSES

SHARE_SCALE = 1_000_000
FIRST_BEGIN, LAST_BEGIN = date(1970, 1, 1), date(2199, 12, 31)
BEGINS = f"days from {FIRST_BEGIN} to {LAST_BEGIN}"
LAST_REVISION = 999
REVIEW = (
    *("review_days", "review_backdated_days", "review_month_end_days", "review_token_share"),
    "review_duplicate_days",
)
NAME = re.compile(r"[a-z][a-z0-9_]*")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DpdCount = Literal["exclusive", "inclusive"]
Calendar = Literal["calendar", "business"]
# Names that say where a machine stands, not where a lender does: the engine does not know them.
NO_PLACES = {"localtime", "Factory"}


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conventions of one lender. Unknown names are refused; see ``Policy.from_toml``.

    >>> Policy(arrears_tolerance=Decimal("1.00")).tolerance_minor
    100
    """

    time_zone: str = "UTC"
    arrears_tolerance: Decimal = Decimal("0.00")
    dpd_count: DpdCount = "exclusive"
    calendar: Calendar = "calendar"
    weekend: tuple[int, ...] = (6, 7)
    final_statuses: tuple[str, ...] = ("Closed", "Written Off")
    first_payment_grace_days: int = 0
    first_payment_share: Decimal = Decimal(0)
    cohort_days: int = 90
    frr_days: int = 365
    flow_days: int = 30
    roll_days: int = 7
    due_days: int = 7
    waiver_days: int = 7
    float_gap_window_days: int = 7
    float_gap_days: int = 1
    cash_methods: tuple[str, ...] = ("Cash",)
    pure_channels: tuple[str, ...] = ("Direct",)
    dqi_uses_channel_purity: bool = True
    min_rank_loans: int = 5
    max_amount: int = 1_000_000_000_000
    max_quarantine_share: Decimal = Decimal("0.01")
    gl_tolerance: Decimal = Decimal("0.00")
    gl_required: bool = False
    review_days: int = 90
    review_backdated_days: int = 3
    review_month_end_days: int = 3
    review_token_share: Decimal = Decimal("0.2")
    review_duplicate_days: int = 1
    revisions: dict[str, dict[int, date]] = {}

    def __post_init__(self) -> None:
        _check(1 <= self.max_amount <= 10**12, "max_amount", "1 to 1e12 units")
        _decimal(self.arrears_tolerance, "arrears_tolerance", self.max_amount, 2)
        _decimal(self.gl_tolerance, "gl_tolerance", self.max_amount, 2)
        _decimal(self.first_payment_share, "first_payment_share", 1, 6)
        _decimal(self.max_quarantine_share, "max_quarantine_share", 1, 6)
        _decimal(self.review_token_share, "review_token_share", 1, 6)
        for name in (
            "cohort_days",
            "frr_days",
            "flow_days",
            "roll_days",
            "due_days",
            "waiver_days",
            "float_gap_window_days",
        ):
            _check(1 <= getattr(self, name) <= 36_500, name, "1 to 36500 days")
        for name in (
            "first_payment_grace_days",
            "float_gap_days",
            "min_rank_loans",
            "review_backdated_days",
            "review_duplicate_days",
        ):
            _check(0 <= getattr(self, name) <= 36_500, name, "0 to 36500")
        _check(1 <= self.review_days <= 3_660, "review_days", "1 to 3660 days")
        _check(1 <= self.review_month_end_days <= 10, "review_month_end_days", "1 to 10 days")
        _check(set(self.weekend) < set(range(1, 8)), "weekend", "ISO weekdays 1-7, not all of them")
        for name, choices in (("dpd_count", get_args(DpdCount)), ("calendar", get_args(Calendar))):
            _listed((getattr(self, name),), name, choices)
        for name in ("final_statuses", "cash_methods", "pure_channels"):
            _names(getattr(self, name), name)
        _listed(self.final_statuses, "final_statuses", LOAN_STATUSES)
        _time_zone(self.time_zone)
        for metric, begins in self.revisions.items():
            _begins(metric, begins)

    @classmethod
    def from_toml(cls, text: str) -> "Policy":
        """Read a policy; names not given keep their default, unknown ones are refused with a hint."""
        given = parsed(text, "policy")
        for name in given:
            if name not in cls.__struct_fields__:
                raise unknown("policy name", name, cls.__struct_fields__)
        try:
            return msgspec.convert(given, cls, str_keys=True)
        except msgspec.ValidationError as error:
            raise UsageError(f"policy: {error}") from None

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> "Policy":
        """The policy that ``as_dict`` gave, also after a way through JSON.

        >>> Policy.from_dict(Policy().as_dict()) == Policy()
        True
        """
        return msgspec.convert(given, cls, str_keys=True)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, in the order of declaration, for keeping and hashing."""
        plain, usual = self.whole(), Policy()
        for name in REVIEW:
            # Policies that leave the review as it is keep the hash they had before there was any.
            if getattr(self, name) == getattr(usual, name):
                del plain[name]
        return plain

    def whole(self) -> dict[str, Any]:
        """Plain values of every name, for people; revisions only where there are any, which keeps older hashes too."""
        plain = {name: _plain(getattr(self, name)) for name in self.__struct_fields__}
        if not self.revisions:
            del plain["revisions"]
        return plain

    def to_toml(self) -> str:
        """The whole policy as text that ``from_toml`` reads back to an equal policy."""
        plain = self.whole()
        plain.pop("revisions", None)
        lines = [f"{name} = {_toml(value)}\n" for name, value in plain.items()]
        for metric, begins in self.revisions.items():
            lines += [f"\n[revisions.{metric}]\n", *(f"{nth} = {day}\n" for nth, day in begins.items())]
        return "".join(lines)

    def revision(self, metric: str, day: date) -> int:
        """Which revision of a metric's formula counts on a day: the first, unless a later one has begun.

        >>> policy = Policy(revisions={"risk_score": {2: date(2026, 10, 1)}})
        >>> policy.revision("risk_score", date(2026, 9, 30)), policy.revision("risk_score", date(2026, 10, 1))
        (1, 2)
        """
        return max((nth for nth, begin in self.revisions.get(metric, {}).items() if begin <= day), default=1)

    def turns(self, first: date, last: date) -> tuple[date, ...]:
        """The days after ``first``, up to ``last``, on which another revision begins to count."""
        begins = {begin for nths in self.revisions.values() for begin in nths.values()}
        return tuple(sorted(begin for begin in begins if first < begin <= last))

    def with_revisions(self, asked: Mapping[str, int], since: date) -> "Policy":
        """This policy with these revisions of these metrics in force from a day on, whatever it says of them."""
        others = {name: begins for name, begins in self.revisions.items() if name not in asked}
        later = {name: {nth: since} for name, nth in asked.items() if nth > 1}
        return msgspec.structs.replace(self, revisions={**others, **later})

    @property
    def hash(self) -> str:
        """Names this policy: equal policies, equal hash."""
        return hashlib.sha256(msgspec.json.encode(self.as_dict())).hexdigest()[:16]

    @property
    def tolerance_minor(self) -> int:
        """arrears_tolerance in minor units."""
        return int(self.arrears_tolerance * 100)

    @property
    def gl_tolerance_minor(self) -> int:
        """gl_tolerance in minor units."""
        return int(self.gl_tolerance * 100)

    @property
    def share_scaled(self) -> int:
        """first_payment_share in millionths, exact."""
        return int(self.first_payment_share * SHARE_SCALE)

    @property
    def token_scaled(self) -> int:
        """review_token_share in millionths, exact."""
        return int(self.review_token_share * SHARE_SCALE)

    @property
    def inclusive(self) -> bool:
        """Whether an installment is overdue on its due date already."""
        return self.dpd_count == "inclusive"


def parsed(text: str, what: str) -> dict[str, Any]:
    """TOML as plain values, its numbers exact; ``what`` is named where it is wrong."""
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{what} is not valid TOML: {error}") from None
    except (DecimalException, ValueError):
        raise UsageError(f"{what}: a number is out of range") from None
    except RecursionError:
        raise UsageError(f"{what} is nested too deeply") from None


def _check(fine: bool, name: str, wanted: str) -> None:
    if not fine:
        raise UsageError(f"policy: {name} is out of range", wanted)


def _decimal(value: Decimal, name: str, most: int, places: int) -> None:
    fine = value.is_finite() and 0 <= value <= most
    _check(fine and value == round(value, places), name, f"0 to {most}, at most {places} decimals")


def _names(values: tuple[str, ...] | str, name: str) -> None:
    wanted = "a list of names, none of them empty, with blanks around it or with control characters"
    _check(not isinstance(values, str) and all(map(_is_name, values)), name, wanted)


def _is_name(text: str) -> bool:
    return text != "" and text == text.strip() and not CONTROL.search(text)


def _listed(values: tuple[str, ...], name: str, choices: tuple[str, ...]) -> None:
    for value in values:
        if value not in choices:
            raise unknown(f"name in policy {name}", value, choices)


def _begins(metric: str, begins: dict[int, date]) -> None:
    """Later revisions of one metric: each begins on a day of its own, in their order."""
    where = f"revisions.{metric[:WORD]}"
    _check(
        bool(NAME.fullmatch(metric)) and bool(begins), where, "a metric, with the day each revision begins on"
    )
    _check(
        all(type(nth) is int and 2 <= nth <= LAST_REVISION for nth in begins), where, f"2 to {LAST_REVISION}"
    )
    days = [begins[nth] for nth in sorted(begins)]
    _check(all(type(day) is date and FIRST_BEGIN <= day <= LAST_BEGIN for day in days), where, BEGINS)
    _check(all(one < other for one, other in pairwise(days)), where, "a later revision begins on a later day")


def _time_zone(name: str) -> None:
    if name != "UTC" and name not in _time_zones():
        near = suggest(name, _time_zones())
        raise UsageError(
            f"policy: time_zone {name[:WORD]!r} is not known",
            near if near.startswith("did you mean") else "e.g. Africa/Lagos",
        )


@cache
def _time_zones() -> set[str]:
    return available_timezones() - NO_PLACES


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, dict):
        return {
            metric: {str(nth): begins[nth].isoformat() for nth in sorted(begins)}
            for metric, begins in sorted(value.items())
        }
    return list(value) if isinstance(value, tuple) else value


def _toml(value: Any) -> str:
    return msgspec.json.encode(value).decode()
