"""The log of a server: one JSON object per line. No query strings, no messages of strange errors, no personal data.

What looks like a phone number or an e-mail address in any text is replaced by a keyed hash: the same again and again
in one log, of no use to anybody without the key, which dies with the server.
"""

import hashlib
import json
import logging
import re
import secrets
import string
import sys
import traceback
from datetime import UTC, datetime
from functools import partial
from typing import TextIO

from loanmetrics.settings import masked
from loanmetrics.store.runs import RUN_OR_DAY

SAFE_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
# Letters only: an id that has the digits of a phone number would be hashed.
ID_LETTERS, ID_LENGTH = string.ascii_lowercase, 20
ADDRESS = r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])(?::\d{1,5})?"
PERSONAL = re.compile(
    rf"(?P<email>[^\s@\"'<>=,;]+@[^\s@\"'<>=,;]+)|(?P<kept>{RUN_OR_DAY}|{ADDRESS})"
    rf"|\+?\(?\d(?:(?!{RUN_OR_DAY}|{ADDRESS})[\d\s().-]){{6,}}(?!{RUN_OR_DAY}|{ADDRESS})\d"
)
PHONE_DIGITS = 10  # with or without the country's code, the last ten are the same
HASH_BYTES = 6
FIELDS = "fields"

requests = logging.getLogger("loanmetrics.request")


def request_id(given: str | None) -> str:
    """The caller's id for a request, if it is harmless, else a new one."""
    if given and SAFE_ID.fullmatch(given):
        return given
    return "".join(ID_LETTERS[byte % len(ID_LETTERS)] for byte in secrets.token_bytes(ID_LENGTH))


def request(
    request_id: str, route: str, method: str, status: int, seconds: float, member_id: int | None
) -> None:
    """The line of one request."""
    told = {
        "request_id": request_id,
        "route": route,
        "method": method,
        "status": status,
        "ms": round(seconds * 1000, 3),
        "member": member_id,
    }
    requests.info("request", extra={FIELDS: told})


def configure(key: bytes, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Make every logger of this process write such lines to ``stream`` (stderr)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines())
    handler.addFilter(Hashed(key))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)  # the attribute alone would leave what loggers remember of being silent


class Hashed(logging.Filter):
    """The safety net: nothing that passes holds a phone number, an e-mail address or a password in the clear."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._clean = partial(cleaned, key)

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, and let it through."""
        record.msg, record.args = self._clean(record.getMessage()), None
        told = getattr(record, FIELDS, None)
        if told:
            texts = {name: self._clean(value) for name, value in told.items() if isinstance(value, str)}
            setattr(record, FIELDS, {**told, **texts})
        return True


class Lines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Errors are told by kind and place: their messages may quote rows."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["error"] = _kinds(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def cleaned(key: bytes, text: str) -> str:
    """The text with hashes in place of phone numbers and e-mail addresses.

    >>> cleaned(b"k", "call 0803 123 4567 about 20260630T100000000-abcdef") == cleaned(
    ...     b"k", "call +2348031234567 about 20260630T100000000-abcdef"
    ... )
    True
    """
    return PERSONAL.sub(partial(_hashed, key), masked(text))


def _hashed(key: bytes, found: re.Match[str]) -> str:
    if found["kept"]:
        return found["kept"]
    if found["email"]:
        return f"email:{_digest(key, found['email'].lower())}"
    digits = "".join(filter(str.isdecimal, found[0]))
    return f"phone:{_digest(key, digits[-PHONE_DIGITS:])}"


def _digest(key: bytes, text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=HASH_BYTES, key=key[:64]).hexdigest()


def _kinds(error: BaseException) -> list[str]:
    """Where an error came from, and of what kind it and its causes are."""
    told: list[str] = []
    raised: BaseException | None = error
    while raised is not None:
        places = traceback.extract_tb(raised.__traceback__)
        told += [f"{place.filename}:{place.lineno} {place.name}" for place in places]
        told.append(f"{type(raised).__module__}.{type(raised).__qualname__}")
        raised = raised.__cause__ or raised.__context__
    return told
