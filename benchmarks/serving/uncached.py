"""``loanmetrics serve`` with a cache that keeps nothing: every answer is made anew."""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from loanmetrics.http import server
from loanmetrics.settings import Settings


def create(settings: Settings, url: str) -> server.App:
    from loanmetrics.http import app, telemetry
    from loanmetrics.http.cache import Cache, Entry
    from loanmetrics.http.desk import open_desk

    class Nothing(Cache):
        def get_or_make(self, key: str, make: Callable[[], Entry]) -> tuple[Entry, bool]:
            return make(), False

    desk = open_desk(settings, url, telemetry.count)
    desk.cache = Nothing(1 << 20)
    return app.make(desk)


if __name__ == "__main__":
    given = Settings.load()
    assert given.database_url
    server.serve(given, given.database_url, create)
