"""Passwords as argon2id hashes. What is refused takes as long as what is right, known account or not."""

import secrets
from functools import cache
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from loanmetrics.errors import UsageError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 1_000
# 19 MiB and two passes, as OWASP advises; at most so many at once, whatever the number of requests.
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
AT_ONCE = BoundedSemaphore(4)


def hashed(password: str) -> str:
    """The hash to store."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(f"a password has {SHORTEST} to {LONGEST:,} characters", "take a sentence")
    with AT_ONCE:
        return _hasher().hash(_bytes(password))


def matches(password: str, stored: str | None) -> bool:
    """Whether this is the password; without a stored hash another is tried, for the time it takes."""
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > LONGEST:
        password = ""
    with AT_ONCE:
        try:
            _hasher().verify(stored or _nobodys(), _bytes(password))
        except (InvalidHashError, VerificationError):
            return False
    return stored is not None


def outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than are used now."""
    return _hasher().check_needs_rehash(stored)


@cache
def _hasher() -> "PasswordHasher":
    try:
        from argon2 import PasswordHasher
    except ImportError:
        raise UsageError("passwords need argon2-cffi", "pip install 'loanmetrics[http]'") from None
    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_bytes())


def _bytes(password: str) -> bytes:
    return password.encode(errors="surrogatepass")
