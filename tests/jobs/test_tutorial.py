"""The tutorial shows what its commands print; where it has ``...`` they may print anything."""

import re
import shlex
from pathlib import Path

from tests import support
from tests.jobs.conftest import Cli

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-figures.md"
STEP = re.compile(r"```console\n\$ loanmetrics (.+)\n((?:.*\n)*?)```")
# What make demo does, which the tutorial begins with.
DEMO = (
    ("load", str(support.SAMPLE)),
    ("compute", "--as-of", str(support.SAMPLE_DAY)),
    ("backfill", "--from", "2026-04-01", "--to", "2026-06-29"),
)


def test_every_command_prints_what_the_page_shows(run: Cli, database: str) -> None:
    for words in DEMO:
        assert run(database, *words)[0] == 0
    steps = STEP.findall(PAGE.read_text(encoding="utf-8"))
    assert len(steps) == 8
    for said, shown in steps:
        code, out, _ = run(database, *shlex.split(said))
        assert code == 0
        assert re.fullmatch(re.escape(shown).replace(re.escape("..."), ".*"), out, re.DOTALL), out
