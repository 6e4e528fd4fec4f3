"""Cohorts as people read them: a line for each, a column for each place its loans went to."""

from collections.abc import Iterator

import polars as pl


def wide(
    rows: pl.DataFrame, down: str, across: str, share: str, size: str
) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """For people: by group, a line for each cohort with its size (``of``) and a share for each place it went to."""
    keys = rows.columns[: rows.columns.index(down)]
    name = pl.concat_str(keys, separator=" / ") if keys else pl.lit("")
    # Where loans go, every way out has a share of the whole; a vintage is as large at every age.
    whole = pl.col(size).sum() if across == "to_dpd_bucket" else pl.col(size).first()
    named = rows.with_columns(name.alias("group"), pl.col(down, across).cast(pl.String))
    sizes = named.group_by("group", down, maintain_order=True).agg(whole.alias("of"))
    shares = named.pivot(across, index=["group", down], values=share, aggregate_function=None)
    lines = sizes.join(shares, on=["group", down], how="left", maintain_order="left")
    for (group,), part in lines.group_by("group", maintain_order=True):
        yield str(group), part.drop("group").to_dicts()
