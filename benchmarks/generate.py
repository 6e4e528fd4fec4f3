"""Write a synthetic lender's raw tables as Parquet: python benchmarks/generate.py --loans 6000 --out DIR."""

import argparse
from datetime import date
from pathlib import Path

from synthetic.lender import Lender
from synthetic.write import write


def main() -> None:
    args = _arguments()
    lender = Lender(
        loans=args.loans,
        officers=args.officers,
        months=args.months,
        end=args.end,
        seed=args.seed,
        mess=args.mess,
    )
    write(lender, args.out, args.chunk)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loans", type=int, required=True, help="how many; the planted oddities come on top")
    parser.add_argument("--out", type=Path, required=True, help="folder for one Parquet file per table")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--officers", type=int, default=40)
    parser.add_argument(
        "--months", type=int, default=18, help="whole months of lending that end with --end's"
    )
    parser.add_argument(
        "--end", type=date.fromisoformat, default=date(2026, 6, 30), help="the last day of the data"
    )
    parser.add_argument(
        "--mess", action=argparse.BooleanOptionalAction, default=True, help="plant life's oddities"
    )
    parser.add_argument(
        "--chunk", type=int, default=50_000, help="loans in memory at once; does not change the rows"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
