"""Answers are sent smaller to whoever understands it: zstd or gzip, as ``Accept-Encoding`` says (RFC 9110, 12.5.3)."""

import gzip
import re

PLAIN = "identity"
# In the order in which they are taken where a client likes them equally.
CODINGS = ("zstd", "gzip", PLAIN)
WORTH_ZIPPING = 1_000
LEVEL = 1
WEIGHTED = re.compile(r"(?P<coding>[^;\s]+)(?:\s*;\s*q=(?P<weight>[01](?:\.\d{0,3})?))?")


def wanted(accepted: str | None) -> str:
    """The coding that a client likes best of those that it names; else none."""
    weights = dict(_weight(part) for part in (accepted or "").lower().split(","))
    best = max(CODINGS, key=lambda coding: weights.get(coding, 0.0))
    return best if weights.get(best, 0.0) > 0 else PLAIN


def coded(text: bytes, coding: str) -> tuple[bytes, dict[str, str]]:
    """An answer and the headers that say how it is coded; a short one stays as it is."""
    if coding == PLAIN or len(text) <= WORTH_ZIPPING:
        return text, {}
    if coding == "gzip":
        return gzip.compress(text, LEVEL, mtime=0), {"Content-Encoding": coding}
    from pyarrow import Codec

    return Codec("zstd", LEVEL).compress(text, asbytes=True), {"Content-Encoding": coding}


def _weight(part: str) -> tuple[str, float]:
    """Of ``gzip;q=0.5``; what is no weight refuses the coding."""
    found = WEIGHTED.fullmatch(part.strip())
    return (found["coding"], float(found["weight"] or 1)) if found else (part, 0.0)
