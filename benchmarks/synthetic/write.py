"""One Parquet file per table, one row group per chunk."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthetic import people
from synthetic.book import chunk
from synthetic.dice import Ints
from synthetic.lender import Lender
from synthetic.planted.cases import planted
from synthetic.readme import readme
from synthetic.schemas import SCHEMAS

_LEVEL = 3
_SERIALS = {"repayment_id", "payment_reference", "customer_email"}
Writers = dict[str, pq.ParquetWriter]


def write(lender: Lender, folder: Path, chunk_rows: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows: Counter[str] = Counter()
    with _writers(folder) as writers:
        for name, table in _tables(lender, chunk_rows):
            writers[name].write_table(table)
            rows[name] += table.num_rows
    (folder / "README.md").write_text(readme(lender, rows), encoding="utf-8")


def _tables(lender: Lender, chunk_rows: int) -> Iterator[tuple[str, pa.Table]]:
    yield "officers", people.officers(lender)
    yield "holidays", people.holidays(lender)
    for number in _chunks(lender.customers, chunk_rows):
        yield "customers", people.customers(lender, number)
    for number in _chunks(lender.loans, chunk_rows):
        yield from chunk(lender, number).items()
    if lender.mess:
        yield from planted(lender).items()


@contextmanager
def _writers(folder: Path) -> Iterator[Writers]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(_writer(folder / f"{name}.parquet", name)) for name in SCHEMAS}


def _writer(path: Path, name: str) -> pq.ParquetWriter:
    """Ids in order and numbers near each other compress best without a dictionary."""
    names = SCHEMAS[name].names
    texts = [column for column in names if pa.types.is_string(SCHEMAS[name].field(column).type)]
    serials = [column for column in texts if column in _SERIALS]
    return pq.ParquetWriter(
        path,
        SCHEMAS[name],
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=[column for column in texts if column not in _SERIALS],
        column_encoding=dict.fromkeys(serials, "DELTA_BYTE_ARRAY"),
        store_decimal_as_integer=True,
    )


def _chunks(rows: int, size: int) -> Iterator[Ints]:
    for start in range(1, rows + 1, size):
        yield np.arange(start, min(start + size, rows + 1), dtype=np.int64)
