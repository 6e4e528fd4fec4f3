"""Requests that want something else than figures, or that nobody should send."""

from collections.abc import Iterator
from typing import NamedTuple

from loanmetrics.http.parameters import hints
from loanmetrics.http.routes import Route
from loanmetrics.http.table import ROUTES

POSTED = [route for route in ROUTES if route.body]
CONDITIONAL = [route for route in ROUTES if route.conditional]
BODY_FIELDS = [(route, name) for route in POSTED if route.body for name in route.body.__struct_fields__]
# Values as they stand in a query string, for every parameter of every route.
VALUES = {
    "SQL that drops": "%27%3B%20DROP%20TABLE%20loans%3B%20--",
    "SQL that is always true": "%27%20OR%20%271%27%3D%271",
    "SQL that unites": "x%27%20UNION%20SELECT%20member_email%20FROM%20team_members%20--",
    "SQL that sleeps": "1%3B%20SELECT%20pg_sleep(30)",
    "a path upwards": "..%2F..%2F..%2F..%2Fetc%2Fpasswd",
    "a path encoded twice": "%252e%252e%252f",
    "a format": "%25s%25n%7B0.__class__%7D",
    "a template": "%7B%7B7*7%7D%7D%24%7Bjndi%3Aldap%3A%2F%2Fx%7D",
    "a script": "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "a header": "x%0D%0ASet-Cookie%3A%20a%3Db",
    "nothing": "",
    "NUL": "a%00b",
    "half a character": "%C3",
    "a surrogate": "%ED%A0%80",
    "an overlong slash": "%C0%AF",
    "no encoding": "%zz",
    "a long text": "x" * 201,
    "a huge number": "9" * 400,
    "a negative number": "-1",
    "an endless number": "1e309",
    "no number": "NaN",
    "foreign digits": "%EF%BC%91",
    "a day that is none": "2026-02-30",
    "the first day": "0001-01-01",
    "the last day": "9999-12-31",
    "half a truth": "tru",
}
# Where routes have a parameter of one name and type, the first is tried with all values, the others with these.
SOME = ("SQL that drops", "a path upwards", "nothing", "NUL", "a surrogate", "a huge number")


def _parameters() -> Iterator[tuple[Route, str, tuple[str, ...]]]:
    """Every parameter of every route, and which values it is tried with."""
    known = set()
    for route in ROUTES:
        for name, kind in hints(route.query).items():
            yield route, name, SOME if (name, repr(kind)) in known else tuple(VALUES)
            known.add((name, repr(kind)))


PARAMETERS = list(_parameters())
QUERIES = {
    "a parameter nobody knows": "colour=red",
    "a name of SQL": "%27%20OR%201%3D1=1",
    "a name of NUL": "%00=1",
    "a name in brackets": "region%5B%5D=West",
    "a private name": "__class__=1",
    "a page twice": "page=1&page=2",
    "a long name": f"{'x' * 5_000}=1",
    "201 parameters": "&".join(["region=West"] * 201),
    "201 names": "&".join(f"x{number}=1" for number in range(201)),
    "semicolons": "page=1;per_page=2",
    "no value": "page",
    "a second question": "page=1?page=2",
}
PATHS = {
    "upwards": "/metrics/../../../etc/passwd",
    "upwards, encoded": "/metrics/officers/..%2F..%2Fetc%2Fpasswd",
    "upwards, encoded twice": "/metrics/officers/%252e%252e%252f",
    "backwards": "/metrics/officers/..%5C..%5Cwindows",
    "two slashes": "/metrics//officers",
    "a slash at the end": "/metrics/officers/",
    "a dot": "/metrics/./officers",
    "NUL": "/metrics/officers/a%00b",
    "a new line": "/metrics/officers/a%0D%0Ab",
    "half a character": "/metrics/officers/%C3",
    "SQL": "/metrics/officers/%27%20OR%20%271%27%3D%271",
    "a long name": f"/metrics/officers/{'x' * 201}",
    "blanks": "/metrics/officers/%20",
    "an officer in capitals": "/metrics/officers/o0001",
    "a semicolon": "/metrics/officers;jsessionid=1",
    "capitals": "/Metrics/Officers",
    "nothing": "",
}


class Body(NamedTuple):
    """Bytes, the media type they claim to be, and the status they are answered with."""

    raw: bytes
    media: str | None = "application/json"
    status: int = 400
    encoding: str | None = None


BODIES = {
    "nothing": Body(b""),
    "half an object": Body(b"{"),
    "a list": Body(b"[1]"),
    "null": Body(b"null"),
    "a number": Body(b"1"),
    "a text": Body(b'"x"'),
    "an empty object": Body(b"{}"),
    "two objects": Body(b"{}{}"),
    "a field nobody knows": Body(b'{"colour": "red"}'),
    "a field of a private name": Body(b'{"__class__": 1}'),
    "a list that is deep": Body(b"[" * 60_000),
    "an object that is deep": Body(b'{"a":' * 12_000),
    "no UTF-8": Body(b'{"a\xff": 1}'),
    "UTF-16": Body('{"a": 1}'.encode("utf-16")),
    "a byte order mark": Body(b"\xef\xbb\xbf{}"),
    "NUL": Body(b"{\x00}"),
    "NaN": Body(b'{"a": NaN}'),
    "a comment": Body(b"{} // nothing"),
    "single quotes": Body(b"{'a': 1}"),
    "too large": Body(b" " * 70_000, status=413),
    "one byte too large": Body(b" " * (64 * 1024 + 1), status=413),
    "zipped": Body(b"\x1f\x8b\x08\x00", encoding="gzip"),
    "plain text": Body(b"{}", "text/plain", 415),
    "a form": Body(b"a=1", "application/x-www-form-urlencoded", 415),
    "an upload": Body(b"--x\r\n", "multipart/form-data; boundary=x", 415),
    "no media type": Body(b"{}", None, 415),
    "nearly JSON": Body(b"{}", "application/jsonp", 415),
}
# In place of the value of each field of each body, as JSON.
FIELDS = {
    "a list": b"[]",
    "an object": b"{}",
    "true": b"true",
    "a fraction": b"1.5",
    "an endless number": b"1e999",
    "a huge number": b"9" * 400,
    "a negative number": b"-1",
    "nobody": b"999999999",
    "NUL": b'"a\\u0000b"',
    "half a surrogate": b'"\\ud800"',
    "a long text": b'"' + b"x" * 20_000 + b'"',
}
HEADERS = {
    "half a tag": ("If-None-Match", '"x'),
    "tags without end": ("If-None-Match", '"x",' * 1_000),
    "a tag of SQL": ("If-None-Match", "'; DROP TABLE loans; --"),
    "no form that is to be had": ("Accept", "text/html;q=x"),
    "forms without end": ("Accept", "a/b," * 1_000),
    "a form of nothing": ("Accept", ";;;"),
    "an encoding nobody knows": ("Accept-Encoding", "br;q=x, \x01"),
    "a cookie in pieces": ("Cookie", "=;;==; loanmetrics_session=\x01; $Version=1"),
    "a name with a new line": ("X-Request-ID", "a\tb\x0bc"),
    "a long name": ("X-Request-ID", "x" * 5_000),
    "a proxy nobody knows": ("X-Forwarded-For", "'; DROP TABLE loans, ::1, 999.1.1.1"),
    "an origin of SQL": ("Origin", "https://'; DROP TABLE loans"),
    "another host": ("Host", "evil.example\\@good"),
    "a range": ("Range", "bytes=5-1"),
}
VERSIONS = [
    "x",
    "1",
    '"x"',
    '"-1"',
    '""',
    '"1"x',
    '"1", "2"',
    'W/"1"',
    "*",
    f'"{"9" * 19}"',
    '"1e3"',
    '"\xb2"',
]
KEYS = ["", "short", "x" * 101, "a b c d e f g", "'; DROP TABLE x", "\xe9" * 8, "../../../../etc"]
