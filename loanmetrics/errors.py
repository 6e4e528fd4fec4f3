"""Every error a user can meet, as one small family.

LoanmetricsError          exit 1   something failed; the message says what, the hint what to do
├── UsageError            exit 2   a name, option, policy or file the user gave is wrong
├── LockHeldError         exit 3   another run holds the lock
├── GateError             exit 4   the figures did not pass a gate: nothing was published
├── DataError             exit 1   input that cannot be read at all (a bad *row* is quarantined instead)
├── StoreError            exit 1   the database, or the embedded server, could not do its part
│   ├── UnreachableError  1    the database cannot be reached at the moment
│   │   └── RefusedError  1    the database answers, and lets nobody in like that
│   └── RemoteError       1    the object store of facts could not do its part
├── NotFoundError         exit 1   what was asked for is not there
├── ConflictError         exit 1   the state of things does not allow this
├── PreconditionFailedError   1    somebody else was faster: look again before writing
├── AuthenticationError   exit 1   who asks could not be established
└── TooManyAttemptsError  exit 1   too many failed log-ins: wait
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

# As much of a word that somebody gave is told back.
WORD = 100


class LoanmetricsError(Exception):
    """Base of the family: one line for people, an optional hint, an exit code for cron."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(LoanmetricsError):
    """A name, option, policy or file given by the user is wrong; ``field`` is what a name was given for, if known."""

    exit_code = 2

    def __init__(self, message: str, hint: str | None = None, field: str = "") -> None:
        super().__init__(message, hint)
        self.field = field


class LockHeldError(LoanmetricsError):
    """Another run is at work on the same database."""

    exit_code = 3


class GateError(LoanmetricsError):
    """The figures did not pass a gate; what was published before stands."""

    exit_code = 4


class DataError(LoanmetricsError):
    """Input that cannot be read at all."""


class StoreError(LoanmetricsError):
    """The database could not do its part."""


class UnreachableError(StoreError):
    """The database cannot be reached; it may be back in a moment."""


class RefusedError(UnreachableError):
    """The database answers, but not to this user, password or name: the same again will hardly do."""


class RemoteError(StoreError):
    """The object store of facts could not do its part; what was published before stands."""


class NotFoundError(LoanmetricsError):
    """What was asked for is not there."""


class ConflictError(LoanmetricsError):
    """The state of things does not allow this."""


class PreconditionFailedError(LoanmetricsError):
    """What was to be changed is no longer what the writer had seen."""


class AuthenticationError(LoanmetricsError):
    """Who asks could not be established; why is never told, as it would help a guesser."""


class TooManyAttemptsError(LoanmetricsError):
    """Too many failed log-ins of late for this account or from this address."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many failed log-ins", f"wait {retry_after} seconds")
        self.retry_after = retry_after


def suggest(word: str, choices: Iterable[str]) -> str:
    """Hint for a mistyped name: the nearest known ones, else all of them.

    >>> suggest("fmir", ["fimr", "roll"])
    'did you mean fimr?'
    """
    known = sorted(choices)
    near = get_close_matches(word[:WORD], known, n=2)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"


def unknown(what: str, word: str, choices: Iterable[str], field: str = "") -> UsageError:
    """The one way to say that a name is not known."""
    return UsageError(f"unknown {what}: {word[:WORD]}", suggest(word, choices), field)
