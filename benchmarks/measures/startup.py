"""P12: what it takes to get going, before any work."""

import sys

from figure import Check, Figure
from lab import Lab, runs_of, timed

COMMANDS = {
    "import loanmetrics": (["-c", "import loanmetrics"], 0.2),
    "loanmetrics --help": (["-m", "loanmetrics.cli", "--help"], 0.3),
}
BARE = "python, nothing imported"
TIMES = 10


def measure(lab: Lab) -> Figure:
    """In turn, after one round that fills the caches."""
    words = {BARE: ["-c", "pass"], **{name: command for name, (command, _) in COMMANDS.items()}}
    done = {
        name: [timed([sys.executable, *command]) for _ in range(TIMES + 1)][1:]
        for name, command in words.items()
    }
    runs = {name: runs_of(each) for name, each in done.items()}
    checks = [Check(name, runs[name].median, limit, "s") for name, (_, limit) in COMMANDS.items()]
    return Figure("P12", "Start-up", checks, runs)
