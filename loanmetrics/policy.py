"""A lender's conventions: every rule that may differ between lenders, named, with the canonical default.

Amounts are in units of currency (naira, not kobo), windows in days. A policy is part of a run's identity:
its hash is stored with every figure.
"""

import hashlib
import tomllib
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from loanmetrics.errors import UsageError, unknown

SHARE_SCALE = 1_000_000


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conventions of one lender. Unknown names are refused; see ``Policy.from_toml``.

    >>> Policy(arrears_tolerance=Decimal("1.00")).tolerance_minor
    100
    """

    time_zone: str = "UTC"
    arrears_tolerance: Decimal = Decimal("0.00")
    dpd_count: Literal["exclusive", "inclusive"] = "exclusive"
    calendar: Literal["calendar", "business"] = "calendar"
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

    def __post_init__(self) -> None:
        _whole(self.arrears_tolerance * 100, "arrears_tolerance", "at most two decimals")
        _whole(self.first_payment_share * SHARE_SCALE, "first_payment_share", "at most six decimals")
        for name in ("first_payment_share", "max_quarantine_share"):
            _check(0 <= getattr(self, name) <= 1, name, "a share between 0 and 1")
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
        for name in ("first_payment_grace_days", "float_gap_days", "min_rank_loans"):
            _check(0 <= getattr(self, name) <= 36_500, name, "0 to 36500")
        _check(1 <= self.max_amount <= 10**12, "max_amount", "1 to 1e12 units")
        _check(set(self.weekend) < set(range(1, 8)), "weekend", "ISO weekdays 1-7, not all of them")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise UsageError(
                f"policy: time_zone {self.time_zone!r} is not known", "e.g. Africa/Lagos"
            ) from None

    @classmethod
    def from_toml(cls, text: str) -> "Policy":
        """Read a policy; names not given keep their default, unknown ones are refused with a hint."""
        try:
            given = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"policy is not valid TOML: {error}") from None
        for name in given:
            if name not in cls.__struct_fields__:
                raise unknown("policy name", name, cls.__struct_fields__)
        try:
            return msgspec.convert(given, cls)
        except msgspec.ValidationError as error:
            raise UsageError(f"policy: {error}") from None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, in the order of declaration, for printing and hashing."""
        return {name: _plain(getattr(self, name)) for name in self.__struct_fields__}

    def to_toml(self) -> str:
        """The whole policy as text that ``from_toml`` reads back to an equal policy."""
        return "".join(f"{name} = {_toml(value)}\n" for name, value in self.as_dict().items())

    @property
    def hash(self) -> str:
        """Names this policy: equal policies, equal hash."""
        return hashlib.sha256(msgspec.json.encode(self.as_dict())).hexdigest()[:16]

    @property
    def tolerance_minor(self) -> int:
        """arrears_tolerance in minor units."""
        return int(self.arrears_tolerance * 100)

    @property
    def share_scaled(self) -> int:
        """first_payment_share in millionths, exact."""
        return int(self.first_payment_share * SHARE_SCALE)

    @property
    def inclusive(self) -> bool:
        """Whether an installment is overdue on its due date already."""
        return self.dpd_count == "inclusive"


def _check(fine: bool, name: str, wanted: str) -> None:
    if not fine:
        raise UsageError(f"policy: {name} is out of range", wanted)


def _whole(scaled: Decimal, name: str, wanted: str) -> None:
    finite = scaled.is_finite()
    _check(finite and scaled >= 0 and scaled == scaled.to_integral_value(), name, wanted)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return list(value) if isinstance(value, tuple) else value


def _toml(value: Any) -> str:
    return msgspec.json.encode(value).decode()
