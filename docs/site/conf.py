"""How the pages are built: ``make docs``. Nothing is fetched, neither when they are built nor when they are read."""

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import pages  # noqa: E402 -- found by the path above

project = "loanmetrics"
release = metadata.version("loanmetrics")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = [
    *("docs/**.md", "deploy/README.md", "benchmarks/RESULTS.md", "data/sample/README.md"),
    *("CONTRIBUTING.md", "CHANGELOG.md"),
]
exclude_patterns = [".*", "dist", "loanmetrics", "tests", "requirements", "scripts", "notebooks", "docs/site"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
html_theme = "furo"
html_title = "loanmetrics"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
highlight_language = "text"
html_show_sphinx = False
html_show_copyright = False
html_last_updated_fmt = None
ENTRANCE = """<!doctype html>
<meta charset="utf-8">
<title>loanmetrics</title>
<meta http-equiv="refresh" content="0; url={to}">
<a href="{to}">loanmetrics</a>
"""
FOLDER_LINK = re.compile(r"\[([^\]]+)\]\(([\w./-]+)\)")


def setup(app: Any) -> None:
    """What Sphinx calls first."""
    app.connect("source-read", _complete)
    app.connect("build-finished", _entrance)


def _complete(app: Any, name: str, source: list[str]) -> None:
    """Fill in what is generated; a folder is no page, so only its name stays."""
    here = Path(app.env.doc2path(name)).parent
    source[0] = FOLDER_LINK.sub(lambda found: _without_folder(found, here), pages.completed(source[0]))


def _without_folder(found: re.Match[str], here: Path) -> str:
    return found[1] if (here / found[2]).is_dir() else found[0]


def _entrance(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.name == "html":
        to = f"{root_doc}.html"
        (Path(app.outdir) / "index.html").write_text(ENTRANCE.format(to=to), encoding="utf-8")
