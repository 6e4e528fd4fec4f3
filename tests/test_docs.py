"""The documentation: whole, right about names, built and read without a network."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import typer.main
import typer.testing

import loanmetrics
from loanmetrics import cli
from loanmetrics.errors import LoanmetricsError
from loanmetrics.http.table import BASE, ROUTES
from loanmetrics.policy import Policy
from loanmetrics.settings import HELP
from loanmetrics.tables import TABLES

ROOT = Path(__file__).parent.parent
SITE = ROOT / "docs" / "site"
SPHINX = ROOT / ".venv" / "docs" / "bin" / "python"
OUTSIDE = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("deploy/README.md", "benchmarks/RESULTS.md", "data/sample/README.md"),
)
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / page for page in OUTSIDE)])
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[`$] ?|\| )loanmetrics((?: [^`\n#|&]+)?)", re.MULTILINE)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SITE))
    return import_module("pages")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target.partition("#")[0]).exists()] == []


def test_every_page_is_in_the_contents() -> None:
    listed = re.findall(
        r"^(?:[^`|\n]+ <)?([\w./-]+)>?$",
        (ROOT / "docs" / "index.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    found = {(ROOT / "docs" / f"{name}.md").resolve() for name in listed}
    assert found == set(PAGES) - {ROOT / "README.md", ROOT / "docs" / "index.md"}


@cache
def helps() -> dict[tuple[str, ...], str]:
    runner = typer.testing.CliRunner(env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})

    def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        yield words, runner.invoke(cli.app, [*words, "--help"]).stdout
        for name, part in getattr(command, "commands", {}).items():
            yield from below(part, (*words, name))

    return dict(below(typer.main.get_command(cli.app), ()))


def commands_in(page: Path) -> list[list[str]]:
    found = (words.split() for words in COMMAND.findall(page.read_text(encoding="utf-8")))
    return [words for words in found if words and re.fullmatch(r"-?-?[a-z-]+", words[0])]


@pytest.mark.parametrize("page", [page for page in PAGES if commands_in(page)], ids=name_of)
def test_commands_and_their_options_exist(page: Path) -> None:
    wrong = []
    for words in commands_in(page):
        place: tuple[str, ...] = ()
        for word in words:
            if (*place, word) in helps():
                place = (*place, word)
        options = [
            re.split(r"[=.,;:)\]]", word.lstrip("["))[0] for word in words if re.match(r"\[?--[a-z]", word)
        ]
        known = helps()[place] + helps()[()]
        verb = len(place) < len(words) and not words[len(place)].startswith(("-", "[", "..."))
        if verb and (not place or any(it[:-1] == place for it in helps())):
            wrong.append(" ".join(words))
        wrong += [f"{' '.join(words)}: {it}" for it in options if not re.search(rf"{it}\b", known)]
    assert wrong == []


def test_every_command_is_told_in_full(pages: Any) -> None:
    told = pages.commands()
    for words in helps():
        assert (
            f"## {' '.join(('loanmetrics', *words))}\n\n```text\nUsage: {' '.join(('loanmetrics', *words))}"
            in told
        )
    assert "--known-at RUN" in told


def test_every_setting_and_convention_is_told(pages: Any) -> None:
    told = pages.settings()
    assert re.findall(r"^\| `(\w+)` \| `LOANMETRICS_(\w+)`", told, re.MULTILINE) == [
        (name, name.upper()) for name in HELP
    ]
    assert str(Path.home()) not in told.replace("~", "")
    assert Policy.from_toml(pages.policy().removeprefix("```toml").removesuffix("```")) == Policy()


def test_every_exit_code_is_told(pages: Any) -> None:
    told = dict(re.findall(r"^\| (\d) \| `(\w+)`", pages.exit_codes(), re.MULTILINE))
    assert set(told) == {"1", "2", "3", "4"}
    assert LoanmetricsError.__name__ in pages.exit_codes()


def test_every_table_column_and_rule_is_told(pages: Any) -> None:
    told = pages.tables()
    for table in TABLES.values():
        part = told.partition(f"## {table.name}\n")[2].partition("\n## ")[0]
        assert [name for name in table.names if f"| `{name}` |" not in part] == []
        assert [rule.name for rule in table.rules if f"| `{rule.name}` |" not in part] == []
    assert "CREATE TABLE loans (" in pages.schema()


def test_every_operation_is_told_with_who_may(pages: Any) -> None:
    told = pages.http()
    for route in ROUTES:
        part = told.partition(f"### {route.method} {BASE}{route.path}\n")[2].partition("\n### ")[0]
        assert part.strip().startswith(route.summary)
        assert ("Open to anybody" if route.role == "public" else f"For {route.role}s") in part


def test_everything_public_is_told(pages: Any) -> None:
    told = re.findall(
        r"^\.\. auto(?:class|function):: loanmetrics\.(\w+)(?:\(\))?$", pages.python(), re.MULTILINE
    )
    assert set(told) | {"Policy"} == set(loanmetrics.__all__)


class Links(HTMLParser):
    """What a page points at and what can be pointed at in it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        elif tag != "a":
            self.loaded += [value for name in ("src", "href") if (value := given.get(name))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Links]:
    if not SPHINX.exists():
        pytest.skip("no environment to build the pages in: make docs makes it")
    folder = tmp_path_factory.mktemp("site").resolve()
    options = ["--fail-on-warning", "--quiet", "-c", str(SITE), "-d", str(folder / "trees")]
    command = [str(SPHINX), "-m", "sphinx", *options, str(ROOT), str(folder / "html")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    found = {}
    for page in (folder / "html").rglob("*.html"):
        found[page] = Links()
        found[page].feed(page.read_text(encoding="utf-8"))
    return found


def test_the_site_is_whole(site: dict[Path, Links]) -> None:
    assert [
        f"{page.name}: {link}" for page, links in site.items() for link in broken(site, page, links)
    ] == []


def broken(site: dict[Path, Links], page: Path, links: Links) -> Iterator[str]:
    for link in links.links + links.loaded:
        parts = urlsplit(link)
        if parts.scheme or link in ("#", "#top"):
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        lost = parts.fragment and target in site and unquote(parts.fragment) not in site[target].ids
        if lost or not target.exists():
            yield link


def test_the_site_fetches_nothing(site: dict[Path, Links]) -> None:
    loaded = {link for links in site.values() for link in links.loaded}
    assert {link for link in loaded if urlsplit(link).scheme not in ("", "data")} == set()
    folder = min(site, key=lambda page: len(page.parts)).parent
    for style in folder.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text(encoding="utf-8"))


def test_the_site_shows_what_notebooks_show(site: dict[Path, Links]) -> None:
    [page] = [page for page in site if page.name == "first_look.html"]
    text = page.read_text(encoding="utf-8")
    assert text.count('<div class="shown">') >= 7
    assert "<svg" in text and "O0032" in text
    assert "generated:" not in text
