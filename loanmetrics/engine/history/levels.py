"""Which days past due a measure tells apart, read from its SQL."""

import re
from collections.abc import Iterator

WORD = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d*)?|<=|>=|<>|!=|\S")
OPENS = frozenset({"", "(", "AND", "OR", "WHEN"})
CLOSES = frozenset({"", ")", "AND", "OR", "THEN", "ELSE", "END"})
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "<>": "<>", "!=": "!="}
Edges = frozenset[int]


def levels(sql: str, column: str) -> Edges | None:
    """Values of ``column`` from which on the measure may change; None: it does more than compare it with numbers.

    >>> sorted(levels("CASE WHEN dpd > 15 AND on_book THEN 1 ELSE 0 END", "dpd"))
    [16]
    >>> levels("CASE WHEN on_book THEN dpd ELSE 0 END", "dpd") is None
    True
    """
    words = ["", *WORD.findall(sql), ""]
    found: Edges = frozenset()
    for place in _places(words, column):
        edges = _compared(words, place)
        if edges is None:
            return None
        found |= edges
    return found


def _places(words: list[str], column: str) -> Iterator[int]:
    return (place for place, word in enumerate(words) if word == column)


def _compared(words: list[str], place: int) -> Edges | None:
    """Edges of the one comparison that the column at ``place`` is part of."""
    ahead = [word.upper() for word in words[place + 1 :]]
    negated = ahead[:1] == ["NOT"]
    ahead = ahead[negated:]
    if ahead[0] in MIRRORED and not negated:
        return _checked(words, place, _of_sign(ahead[0], ahead[1]), ahead[2:])
    if ahead[0] == "BETWEEN" and ahead[2] == "AND":
        low, high = _of_sign(">=", ahead[1]), _of_sign("<=", ahead[3])
        return _checked(words, place, _both(low, high), ahead[4:])
    if ahead[0] == "IN" and ")" in ahead:
        end = ahead.index(")")
        return _checked(words, place, _listed(ahead[1:end]), ahead[end + 1 :])
    if words[place - 1] in MIRRORED and place > 2:
        return _checked(words, place - 2, _of_sign(MIRRORED[words[place - 1]], words[place - 2]), ahead)
    return None


def _of_sign(sign: str, number: str) -> Edges | None:
    if not number.isdecimal():
        return None
    value = int(number)
    return frozenset(
        {">=": {value}, "<": {value}, ">": {value + 1}, "<=": {value + 1}}.get(sign, {value, value + 1})
    )


def _both(one: Edges | None, other: Edges | None) -> Edges | None:
    return None if one is None or other is None else one | other


def _listed(words: list[str]) -> Edges | None:
    if not words or words[0] != "(" or set(words[2::2]) - {","}:
        return None
    found: Edges | None = frozenset()
    for number in words[1::2]:
        found = _both(found, _of_sign("=", number))
    return found


def _checked(words: list[str], begin: int, edges: Edges | None, after: list[str]) -> Edges | None:
    """``edges`` if the comparison stands by itself: nothing around it binds more tightly."""
    before = words[begin - 1].upper()
    alone = before in OPENS and after[0] in CLOSES
    return edges if alone and not (before == "AND" and _ends_between(words[: begin - 1])) else None


def _ends_between(words: list[str]) -> bool:
    """Whether the AND after ``words`` belongs to a BETWEEN."""
    depth = 0
    for word in reversed(words):
        depth += (word == ")") - (word == "(")
        if depth < 0 or (depth == 0 and word.upper() in ("AND", "OR", "WHEN", "")):
            return False
        if depth == 0 and word.upper() == "BETWEEN":
            return True
    return False
