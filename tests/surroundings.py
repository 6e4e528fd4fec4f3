"""What a program is started with by a test."""

import os


def surroundings() -> dict[str, str]:
    """The environment without settings: neither the developer's nor the tests' own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOANMETRICS_")}
