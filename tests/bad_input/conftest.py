"""The small book and the command line, as the tests of jobs have them."""

from tests.jobs.conftest import home, run, small, small_book

__all__ = ["home", "run", "small", "small_book"]
