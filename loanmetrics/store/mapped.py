"""Frames that lie in files: the system reads them as they are needed, and lets them go again when it must."""

from pathlib import Path
from tempfile import NamedTemporaryFile

import polars as pl


def mapped(path: Path) -> pl.DataFrame:
    """A file's rows, read from the disk's cache as they are needed."""
    from pyarrow import ipc, memory_map

    with memory_map(str(path)) as source:
        rows = pl.from_arrow(ipc.open_file(source).read_all())
    assert isinstance(rows, pl.DataFrame)
    return rows


def aside(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows, in a nameless file that ends with them.

    >>> aside(pl.DataFrame({"officer_id": ["O1", None], "loans": [3, 4]})).rows()
    [('O1', 3), (None, 4)]
    """
    with NamedTemporaryFile(prefix="loanmetrics-rows-") as file:
        rows.write_ipc(file)
        file.flush()
        return mapped(Path(file.name))
