"""Keep everything busy for an hour and see what becomes of it: python benchmarks/soak.py --minutes 60.

People read and audit, payments are committed and followed by a worker, runs of the schedule go on, servers reload, the
database is restarted and the cache killed. Only on this machine. What a size needs is made once and kept, as for
bench.py.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

import figure  # noqa: E402
from lab import CACHE, ROOT, SIZES, Lab  # noqa: E402
from serving.questions import USERS, warming  # noqa: E402
from soaking import folding, plan, proof, record  # noqa: E402
from soaking.happenings import Director, Payer  # noqa: E402
from soaking.house import House, SoakStage, house, postgres  # noqa: E402
from soaking.memory import Sampler  # noqa: E402

RATE = 40.0
HEAD_START = 5.0  # for the process that asks
AT_A_TIME = 8


def main() -> None:
    args = _arguments()
    if args.work:
        from soaking import asking

        print(json.dumps(asking.work(args.work)))
        return
    from tests.http.valkey import valkey

    with postgres(args.cache) as database, valkey() as cache:
        cache.start()
        lab = Lab(args.size, args.loans or SIZES[args.size], database.url, args.cache)
        stage = SoakStage(lab, cache.url)
        stage.prepare()
        with house(stage, database, cache) as everything:
            seen = _soak(everything, 60 * args.minutes, args.rate)
        proofs = [seen.settled, *proof.prove(stage, seen.payer.committed, seen.asked)]
        told = _told(lab, seen, proofs, args.rate)
        record.keep(told, args.results)
    _say(f"availability {told.whole.percent:.3f} %, without outages {told.apart.percent:.3f} %")
    for it in proofs:
        _say(f"{'fine' if it.fine else 'WRONG'}: {it.what}: {it.said}")
    sys.exit(not all(it.fine for it in proofs))


class Seen:
    """What was noted while it went on."""

    def __init__(self, everything: House, seconds: float) -> None:
        self.seconds = seconds
        self.began = time.monotonic() + HEAD_START
        self.director = Director(everything, self.began, _say)
        self.sampler = Sampler(everything, self.began, plan.slice_of(seconds))
        self.payer = Payer(everything.stage.url, seconds)
        self.asked: dict[str, Any] = {}
        self.runs: dict[str, int] = {}
        self.settled = record.Proof("", False, "")
        self.load = 0.0


def _soak(everything: House, seconds: float, rate: float) -> Seen:
    """All at once, until the people are done; then whatever is under way may end."""
    from serving.programs import asked

    viewers, auditors = everything.stage.tokens
    asked(everything.api, warming(everything.stage.choices, [viewers[0], auditors[0]]), "once", AT_A_TIME)
    seen, stop = Seen(everything, seconds), threading.Event()
    threads = [
        threading.Thread(target=seen.sampler.run, args=(stop,)),
        threading.Thread(target=seen.payer.run, args=(stop,)),
        threading.Thread(target=seen.director.run, args=(plan.calendar(seconds), stop)),
    ]
    with _asking(everything, seen, rate) as asking:
        for thread in threads:
            thread.start()
        out, _ = asking.communicate()
    stop.set()
    for thread in threads:
        thread.join()
    if asking.returncode:
        raise SystemExit("the process that asks failed")
    seen.asked, seen.load = json.loads(out), os.getloadavg()[1]
    seen.settled = proof.settle(everything.stage)
    seen.runs = proof.runs(everything.stage, time.monotonic() - seen.began)
    return seen


@contextmanager
def _asking(everything: House, seen: Seen, rate: float) -> Iterator["subprocess.Popen[str]"]:
    stage = everything.stage
    viewers, auditors = stage.tokens
    script = {
        "port": everything.api.port,
        "began": seen.began,
        "seconds": seen.seconds,
        "rate": rate,
        "viewers": viewers,
        "auditors": auditors,
        "choices": asdict(stage.choices),
        "versions": stage.versions(),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(msgspec.json.encode(script).decode())
        file.flush()
        command = [sys.executable, str(HERE / "soak.py"), "--work", file.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            try:
                yield process
            finally:
                process.kill()


def _told(lab: Lab, seen: Seen, proofs: list[record.Proof], rate: float) -> record.Soak:
    from bench import commit, machine, software

    due, seconds, statuses = (seen.asked[name] for name in ("due", "seconds", "statuses"))
    happened = [
        _with_failures(it, due, statuses) for it in sorted(seen.director.happened, key=lambda it: it.began)
    ]
    memory = list(seen.sampler.found.values())
    p50, p95, p99 = folding.latencies(seconds)
    return record.Soak(
        size=lab.size,
        seconds=seen.seconds,
        users=USERS,
        rate=rate,
        slice=seen.sampler.width,
        machine=machine(),
        software=software(lab),
        measured=date.today(),
        commit=commit(),
        load=round(seen.load, 1),
        whole=folding.availability(due, statuses),
        apart=folding.availability(due, statuses, happened),
        p50=p50,
        p95=p95,
        p99=p99,
        statuses=dict(Counter(map(folding.name_of, statuses))),
        payments=seen.payer.committed,
        runs=seen.runs,
        slices=folding.slices(due, seconds, statuses, seen.sampler.width, seen.sampler.cached),
        happenings=happened,
        memory=memory,
        growth=folding.growth(memory),
        strays=folding.strays(seen.asked["failed"], happened),
        proofs=proofs,
    )


def _with_failures(it: record.Happening, due: list[float], statuses: list[int]) -> record.Happening:
    """An outage tells what it did to people."""
    if not it.outage:
        return it
    failed = folding.failures(due, statuses, it)
    said = f"{it.said}; {len(failed)} requests failed"
    if failed:
        said += f", the last one {max(failed) - it.ended:+.1f} s from when it was back"
    return msgspec.structs.replace(it, said=said)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="0.1m")
    parser.add_argument(
        "--loans", type=int, help="another number of loans than the size says (to try things)"
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=RATE, help="requests per second")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--results", type=Path, default=figure.RESULTS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    return parser.parse_args()


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    main()
