"""What may differ between two versions of the facts, told from their files alone."""

from collections.abc import Iterator

import polars as pl

from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import ShardFiles, Version


def touched(lake: Lake, one: Version, other: Version) -> pl.Series:
    """Ids of all loans whose rows may differ: those of files that only one version names, and those retired since."""
    parts = [*_loans(lake, one, other), *_loans(lake, other, one)]
    return pl.concat([pl.Series("loan_id", [], pl.String), *parts]).unique().sort()


def _loans(lake: Lake, version: Version, other: Version) -> Iterator[pl.Series]:
    """Loans that stand in a version and, as far as its files tell, not in the other."""
    gone, elsewhere = (lake.small(each, "gone")["loan"] for each in (version, other))
    shared = {shard.name for shard in other.shards}
    for shard in version.shards:
        standing = lake.shard(version, shard, gone).loans
        if shard.name in shared:
            retired = _retired(shard, elsewhere, gone)
            if not len(retired):
                continue
            standing = standing.filter(pl.col("loan").is_in(retired.implode()))
        yield standing.select("loan_id").collect()["loan_id"]


def _retired(shard: ShardFiles, elsewhere: pl.Series, here: pl.Series) -> pl.Series:
    theirs, ours = shard.retired(elsewhere), shard.retired(here)
    return theirs.filter(~theirs.is_in(ours.implode()))
