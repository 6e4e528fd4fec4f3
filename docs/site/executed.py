"""A notebook as a page: its prose, its code and what the code shows when it runs."""

from typing import Any

from tests import notebooks
from tests.notebooks import Ran


def page(name: str) -> str:
    """The notebook, run from top to bottom."""
    return "\n\n".join(_cell(ran) for ran in notebooks.run(name, {}))


def _cell(ran: Ran) -> str:
    if ran.cell.kind == "markdown":
        return ran.cell.source
    parts = [f"```python\n{ran.cell.source}\n```"]
    if ran.printed:
        parts.append(f"```text\n{ran.printed.rstrip()}\n```")
    shown = _shown(ran.value)
    if shown:
        parts.append(f'````{{raw}} html\n<div class="shown">\n{shown}\n</div>\n````')
    return "\n\n".join(parts)


def _shown(value: Any) -> str:
    """What a notebook would show of a value: a chart drawn as SVG, a table, nothing."""
    if hasattr(value, "_repr_mimebundle_"):
        return str(value._repr_mimebundle_(None, None)["image/svg+xml"])
    return str(value._repr_html_()) if hasattr(value, "_repr_html_") else ""
