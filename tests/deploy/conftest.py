"""Databases with a book in them, as jobs have them."""

from tests.jobs.conftest import home, published_sample, sample, small, small_book

__all__ = ["home", "published_sample", "sample", "small", "small_book"]
