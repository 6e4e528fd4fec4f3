"""A workbook's cells as they stand in its XML: number, date and text tell themselves apart by type and format."""

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

NAMES = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
Cell = tuple[str, str, str]


def sheet(path: Path, number: int) -> list[dict[str, Cell]]:
    """Rows of one sheet; a cell by its column letter: (type, content, number format)."""
    with zipfile.ZipFile(path) as book:
        forms = _formats(book)
        root = ElementTree.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))
        shared = _shared(book)
    return [
        {_letter(cell): _cell(cell, forms, shared) for cell in row.iterfind("x:c", NAMES)}
        for row in root.iterfind(".//x:row", NAMES)
    ]


def properties(path: Path) -> str:
    with zipfile.ZipFile(path) as book:
        return book.read("docProps/core.xml").decode()


def _formats(book: zipfile.ZipFile) -> list[str]:
    root = ElementTree.fromstring(book.read("xl/styles.xml"))
    builtin = {"0": "", "1": "0", "2": "0.00", "3": "#,##0", "4": "#,##0.00", "10": "0.00%"}
    known = builtin | {
        it.attrib["numFmtId"]: it.attrib["formatCode"] for it in root.iterfind(".//x:numFmt", NAMES)
    }
    return [known[it.attrib["numFmtId"]] for it in root.iterfind("x:cellXfs/x:xf", NAMES)]


def _shared(book: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in book.namelist():
        return []
    root = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
    return ["".join(it.itertext()) for it in root.iterfind("x:si", NAMES)]


def _letter(cell: ElementTree.Element) -> str:
    return re.sub(r"\d", "", cell.attrib["r"])


def _cell(cell: ElementTree.Element, forms: list[str], shared: list[str]) -> Cell:
    kind = cell.attrib.get("t", "n")
    text = "".join(cell.itertext())
    if kind == "s":
        kind, text = "inlineStr", shared[int(text)]
    return kind, text, forms[int(cell.attrib.get("s", "0"))]
