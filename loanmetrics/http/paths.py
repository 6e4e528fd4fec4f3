"""Ids in paths: one may hold a slash, which its client writes as ``%2F`` and which must not end it."""

import re

from falcon import uri

# What stands for such a slash from here to the route; as a control character it is in no id.
SLASH = "\x1f"
ENCODED = re.compile("%2f", re.IGNORECASE)


def kept(raw: str) -> str | None:
    """The path of a request line with the slashes within its segments kept apart; None where there are none.

    >>> kept("/loans/LN%2F07/account?date=2026-06-30")
    '/loans/LN\\x1f07/account'
    """
    path = raw.partition("?")[0]
    if not path.startswith("/") or not ENCODED.search(path):
        return None
    return "/".join(uri.decode(part, unquote_plus=False).replace("/", SLASH) for part in path.split("/"))


def restored(value: str) -> str:
    """The id as its client wrote it.

    >>> restored("LN\\x1f07")
    'LN/07'
    """
    return value.replace(SLASH, "/")
