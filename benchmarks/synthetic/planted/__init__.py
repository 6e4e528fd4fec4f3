"""Oddities planted one by one: each has its own loan, so a reader can look at it alone."""
