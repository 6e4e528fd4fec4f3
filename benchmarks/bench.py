"""Measure the project's targets at one size, beside its peers: python benchmarks/bench.py --size 1m.

What a size needs (raw tables, facts, a filled database) is made once and kept in benchmarks/cache, or in
$LOANMETRICS_BENCH_CACHE. Figures go to benchmarks/results; report.py makes RESULTS.md and cost.png of them.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import figure  # noqa: E402
from figure import Figure, Sheet  # noqa: E402
from lab import CACHE, SIZES, Lab, laboratory  # noqa: E402
from measures import day, drilldown, extraction, publishing, runs, startup, stored, year  # noqa: E402


@dataclass(frozen=True)
class Step:
    """Figures that are measured together."""

    names: tuple[str, ...]
    measure: Callable[[Lab], Iterable[Figure]]


def _days(lab: Lab) -> Iterable[Figure]:
    whole = day.measure(lab)
    yield whole
    yield stored.measure(lab, whole)


STEPS = (
    Step(("P12",), lambda lab: [startup.measure(lab)]),
    Step(("P1", "P2"), _days),
    Step(("P3",), lambda lab: [year.measure(lab)]),
    Step(("P8",), lambda lab: [publishing.measure(lab)]),
    Step(("P10",), lambda lab: [drilldown.measure(lab)]),
    Step(("P4",), lambda lab: [extraction.measure(lab)]),
    Step(("P5", "P6"), runs.measure),
)
NAMES = [name for step in STEPS for name in step.names]


def main() -> None:
    args = _arguments()
    if args.work:
        name, given = args.work
        print(json.dumps(import_module(f"measures.{name}").work(**json.loads(given))))
        return
    with laboratory(args.cache) as server:
        lab = Lab(args.size, args.loans or SIZES[args.size], server, args.cache, args.repeat)
        for step in STEPS:
            if set(step.names) & set(args.only):
                say(f"{lab.size}: {', '.join(step.names)}")
                for made in step.measure(lab):
                    keep(lab, made, args.results)
                    say(told(made))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="1m")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="measure just these")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--loans", type=int, help="another number of loans than the size says (to try things)"
    )
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--results", type=Path, default=figure.RESULTS)
    parser.add_argument("--work", nargs=2, metavar=("NAME", "JSON"), help=argparse.SUPPRESS)
    return parser.parse_args()


def keep(lab: Lab, made: Figure, folder: Path) -> None:
    """With the machine, the day, the commit and the load it was measured under."""
    stamped = Figure(
        made.name,
        made.title,
        made.checks,
        made.runs,
        made.note,
        date.today(),
        commit(),
        round(os.getloadavg()[1], 1),
        made.answers,
    )
    about = Sheet(lab.size, lab.rows, machine(), software(lab), lab.loaded, {made.name: stamped})
    figure.keep(about, folder)


def told(made: Figure) -> str:
    checks = [
        f"{check.what} {check.value:.2f} {check.unit} ({'met' if check.met else f'missed: {check.limit:g}'})"
        for check in made.checks
    ]
    return f"  {made.name}: {'; '.join(checks)}"


def commit() -> str:
    """What is measured; "-dirty" where files differ from it."""
    git = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {models[0] if models else 'unknown CPU'}"


def software(lab: Lab) -> str:
    return f"Python {sys.version.split()[0]}, {day.software()}, PostgreSQL {lab.server_version}"


def say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    main()
