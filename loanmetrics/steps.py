"""The steps of a run or a load, told as they begin: what it is at, how long each takes, in which one it ended."""

import logging

LOGGER = "loanmetrics.steps"
_log = logging.getLogger(LOGGER)


def step(name: str) -> None:
    """Tell that this step begins; ``loanmetrics --verbose`` shows it."""
    _log.debug(name)
