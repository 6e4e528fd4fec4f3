"""Notebooks, run cell by cell in this process."""

import ast
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = ("first_look", "hunting_a_bad_branch", "a_new_metric")


@dataclass(frozen=True)
class Cell:
    """One cell as the file holds it."""

    kind: str
    source: str


@dataclass(frozen=True)
class Ran:
    """A cell with what it printed and the value of its last line, as a notebook would show them."""

    cell: Cell
    printed: str = ""
    value: Any = None

    @property
    def text(self) -> str:
        """Everything that it shows, without its form."""
        shown = "" if self.value is None else repr(self.value)
        html = getattr(self.value, "_repr_html_", None)
        return "\n".join([self.printed, shown, _plain(html()) if html else ""])


def path_of(name: str) -> Path:
    """The file of a notebook."""
    return FOLDER / f"{name}.ipynb"


def cells(name: str) -> list[Cell]:
    """A notebook's cells in order."""
    held = json.loads(path_of(name).read_text(encoding="utf-8"))["cells"]
    return [Cell(cell["cell_type"], "".join(cell["source"])) for cell in held]


def run(name: str, names: dict[str, Any]) -> Iterator[Ran]:
    """Run a notebook from top to bottom; ``names`` is what its cells define and see."""
    for place, cell in enumerate(cells(name), 1):
        yield _run(cell, names, f"{name}[{place}]") if cell.kind == "code" else Ran(cell)


def _run(cell: Cell, names: dict[str, Any], where: str) -> Ran:
    body = ast.parse(cell.source, where).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(ast.Module(body, []), where, "exec"), names)
        value = (
            eval(compile(ast.Expression(last.value), where, "eval"), names)
            if isinstance(last, ast.Expr)
            else None
        )
    return Ran(cell, printed.getvalue(), value)


def _plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", html))
