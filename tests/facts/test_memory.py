"""How much memory reading a book may take: little, and never more than DuckDB would by itself."""

from pathlib import Path

import pytest

from loanmetrics.facts import raw

LIMIT = "SELECT current_setting('memory_limit')"


@pytest.mark.parametrize(("most", "told"), [(64 << 20, "64.0 MiB"), (1 << 50, None)])
def test_the_lower_of_two_limits_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, told: str | None
) -> None:
    by_itself = raw.connect().sql(LIMIT).fetchall()
    monkeypatch.setattr(raw, "MOST_MEMORY", most)
    found = raw.connect(tmp_path).sql(LIMIT).fetchall()
    assert found == ([(told,)] if told else by_itself)


def test_what_does_not_fit_is_spilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "MOST_MEMORY", 64 << 20)
    connection = raw.connect(tmp_path)
    connection.execute(
        "SET threads = 1; CREATE TABLE many AS SELECT hash(range) AS number FROM range(12_000_000)"
    )
    assert any(path.stat().st_size for path in tmp_path.iterdir())
    assert connection.sql("SELECT count(DISTINCT number) FROM many").fetchall() == [(12_000_000,)]
