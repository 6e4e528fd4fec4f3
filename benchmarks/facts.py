"""Make a facts folder of raw Parquet tables: python benchmarks/facts.py RAW OUT."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from loanmetrics.facts import raw
    from loanmetrics.facts.lake import Lake
    from loanmetrics.facts.prepare import prepare
    from loanmetrics.facts.writing import write
    from loanmetrics.policy import Policy

    source, target = map(Path, sys.argv[1:3])
    policy, lake = Policy(), Lake(target)
    connection = raw.connect()
    raw.from_folder(connection, source, policy)
    intake = prepare(connection, policy)
    lake.point_to(write(connection, lake, "benchmark", policy, intake, engine="benchmark"))


if __name__ == "__main__":
    main()
