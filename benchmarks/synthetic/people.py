"""Customers, officers and holidays as Arrow tables."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthetic import days, names
from synthetic.arrow import (
    OPEN_MINUTES,
    OPENS,
    dates,
    ids,
    instants,
    joined,
    moment,
    nightly_stamp,
    texts,
    unless,
)
from synthetic.dice import Dice, Ints
from synthetic.lender import Lender, has_no_channel, home_branch, usual_channel
from synthetic.schemas import SCHEMAS

_YEAR = 365
_SERIAL_DIGITS = 7
_TERMINATED_EVERY = 13


def person_names(dice: Dice, kind: str, number: Ints) -> pa.Array:
    first, last = _name_codes(dice, kind, number)
    return pc.binary_join_element_wise(texts(names.FIRST_NAMES, first), texts(names.LAST_NAMES, last), " ")


def emails(dice: Dice, kind: str, number: Ints) -> pa.Array:
    first, last = _name_codes(dice, kind, number)
    name = pc.binary_join_element_wise(texts(names.FIRST_NAMES, first), texts(names.LAST_NAMES, last), ".")
    return joined(pc.utf8_lower(name), pa.array(number).cast(pa.string()), "@example.com")


def _name_codes(dice: Dice, kind: str, number: Ints) -> tuple[Ints, Ints]:
    first = dice.below(len(names.FIRST_NAMES), f"{kind} first name", number)
    return first, dice.below(len(names.LAST_NAMES), f"{kind} last name", number)


def phones(number: Ints) -> pa.Array:
    """A serial number behind a toll-free prefix: rings nobody."""
    return ids("+234800", number, _SERIAL_DIGITS)


def officer_phones(officer: Ints) -> pa.Array:
    return phones(10**_SERIAL_DIGITS - 1 - officer)


def customers(lender: Lender, number: Ints) -> pa.Table:
    dice, first_day = lender.dice, days.number(lender.first_day)
    kyc = dice.pick([0.9, 0.08, 0.02], "kyc", number)
    joined_on = first_day - dice.below(2 * _YEAR, "joined", number)
    home = dice.below(len(names.BRANCHES), "home", number)
    created = instants(moment(joined_on, OPENS + 60 * dice.below(OPEN_MINUTES, "joined at", number)))
    columns = [
        ids("C", number, 8),
        person_names(dice, "customer", number),
        phones(number),
        unless(dice.chance(0.4, "has no e-mail", number), emails(dice, "customer", number)),
        dates(first_day - 20 * _YEAR - dice.below(40 * _YEAR, "born", number)),
        texts(names.GENDERS, dice.below(2, "gender", number)),
        texts(names.STATES, home),
        texts(names.LGAS, home),
        _addresses(dice, number),
        texts(["Verified", "Pending", "Rejected"], kyc),
        dates(np.where(kyc == 0, joined_on + 1, -1)),
        created,
        instants(nightly_stamp(joined_on)),
    ]
    return pa.table(columns, schema=SCHEMAS["customers"])


def _addresses(dice: Dice, number: Ints) -> pa.Array:
    house = pa.array(1 + dice.below(90, "house", number)).cast(pa.string())
    street = texts(names.STREETS, dice.below(len(names.STREETS), "street", number))
    return pc.binary_join_element_wise(house, street, " ")


def officers(lender: Lender) -> pa.Table:
    number, dice = np.arange(lender.officers, dtype=np.int64), lender.dice
    hired = days.number(lender.first_day) - 30 - dice.below(3 * _YEAR, "hired", number)
    gone = number % _TERMINATED_EVERY == _TERMINATED_EVERY - 1
    created = instants(moment(hired, OPENS))
    unknown_channel = lender.mess & has_no_channel(number)
    columns = [
        officer_ids(number),
        person_names(dice, "officer", number),
        officer_phones(number),
        emails(dice, "officer", number + 1),
        texts(names.REGIONS, home_branch(number) // names.BRANCHES_PER_REGION),
        texts(names.BRANCHES, home_branch(number)),
        texts(["Active", "Terminated"], gone.astype(np.int64)),
        dates(hired),
        dates(np.where(gone, lender.last_day - dice.below(90, "left", number), -1)),
        texts(names.CHANNELS, np.where(unknown_channel, -1, usual_channel(number))),
        created,
        created,
    ]
    return pa.table(columns, schema=SCHEMAS["officers"])


def officer_ids(officer: Ints) -> pa.Array:
    return ids("O", officer + 1, 4)


def holidays(lender: Lender) -> pa.Table:
    found = days.holidays(lender.first_day.year, lender.end.year + 1)
    return pa.table([list(found), list(found.values())], schema=SCHEMAS["holidays"])
