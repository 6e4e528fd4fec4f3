"""How an answer is coded is the client's choice; whoever names no coding that we have gets it as it is."""

import pytest

from loanmetrics.http.codings import PLAIN, wanted


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, PLAIN),
        ("", PLAIN),
        ("gzip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("GZIP", "gzip"),
        ("zstd;q=0.5, gzip;q=0.8", "gzip"),
        ("zstd; q=0, gzip", "gzip"),
        ("gzip;q=0", PLAIN),
        ("gzip;q=0.000", PLAIN),
        ("identity, gzip;q=0.5", PLAIN),
        ("*", PLAIN),
        ("br", PLAIN),
        ("gzip;q=nan", PLAIN),
        ("gzip;q=2", PLAIN),
        (", ,;;q=", PLAIN),
        ("xgzip", PLAIN),
    ],
)
def test_the_coding_that_a_client_likes_best(accepted: str | None, coding: str) -> None:
    assert wanted(accepted) == coding
