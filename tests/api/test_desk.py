"""A worker's services: sessions."""

from loanmetrics.http.desk import open_desk
from loanmetrics.settings import Settings


def test_a_thread_has_one_session_however_often_it_asks(published: Settings) -> None:
    """Or as many threads as there are sessions would each hold one and wait for a second."""
    assert published.database_url
    desk = open_desk(published.but("test", threads=1), published.database_url, patience=10)
    try:
        with desk.reader() as reader, desk.database() as primary:
            assert primary is reader
        with desk.database() as first:
            pass
        with desk.database() as again:
            assert again is first
    finally:
        desk.close()
