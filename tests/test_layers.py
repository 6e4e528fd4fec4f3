"""Imports go one way. What a module imports anywhere, in functions too, is read from its text."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "loanmetrics"

# From the outside in: a layer may import itself and those below.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("cli", "commands", "console", "http", "testing"),
    ("jobs",),
    (
        *("cohorts", "display", "explanation", "notebook", "referee", "reference", "reviewing", "settings"),
        "sources",
    ),
    ("facts", "store", "export"),
    ("engine",),
    ("policy", "tables", "errors", "formatting", "steps"),
)
ENGINE_LIBRARIES = {"polars", "numpy"}
PURE_STDLIB = {
    "abc", "bisect", "collections", "concurrent", "contextlib", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "graphlib", "importlib", "itertools", "math", "operator", "pkgutil", "re",
    "typing",
}  # fmt: skip
HEAVY = ("polars", "duckdb", "pyarrow", "numpy", "psycopg", "typer", "rich", "yoyo")
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(module: Path) -> str:
    return ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(nodes: Iterator[ast.AST] | list[ast.stmt]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide their direction"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of(module: Path) -> set[str]:
    return set(imported(ast.walk(ast.parse(module.read_text()))))


def layer_of(name: str) -> int | None:
    part = name.split(".")[1] if "." in name else ""
    return next((depth for depth, layer in enumerate(LAYERS) if part in layer), None)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_go_inward(module: Path) -> None:
    own = layer_of(name_of(module))
    inner = {name: layer_of(name) for name in imports_of(module) if name.startswith("loanmetrics")}
    outward = [name for name, depth in inner.items() if depth is not None and own is not None and depth < own]
    assert not outward


def test_every_module_has_a_layer() -> None:
    top = {name_of(module).split(".")[1] for module in MODULES if module != PACKAGE / "__init__.py"}
    assert top - {part for layer in LAYERS for part in layer} == set()


@pytest.mark.parametrize("module", sorted((PACKAGE / "engine").rglob("*.py")), ids=name_of)
def test_the_engine_is_pure(module: Path) -> None:
    allowed = ENGINE_LIBRARIES | PURE_STDLIB
    ours = tuple(f"loanmetrics.{part}" for part in ("engine", "policy", "tables", "errors"))
    assert [
        name for name in imports_of(module) if name.split(".")[0] not in allowed and not name.startswith(ours)
    ] == []


@pytest.mark.parametrize("module", sorted((PACKAGE / "engine" / "metrics").glob("[!_]*.py")), ids=name_of)
def test_a_metric_imports_only_what_a_metric_is(module: Path) -> None:
    assert {name.rpartition(".")[0] for name in imports_of(module)} == {"loanmetrics.engine.metric"}


FRONT = [PACKAGE / "cli.py", *sorted((PACKAGE / "http").rglob("*.py"))]


@pytest.mark.parametrize("module", FRONT, ids=name_of)
def test_front_ends_import_no_database_or_frame_library_at_the_top(module: Path) -> None:
    top = {name.split(".")[0] for name in imported(ast.parse(module.read_text()).body)}
    assert top & {"psycopg", "duckdb", "polars", "pyarrow", "numpy"} == set()


@pytest.mark.parametrize(
    ("module", "light"),
    [("loanmetrics", HEAVY), ("loanmetrics.cli", HEAVY[:5]), ("loanmetrics.jobs.compute", ("yoyo",))],
)
def test_importing_costs_nothing_heavy(module: str, light: tuple[str, ...]) -> None:
    question = f"import sys, {module}; print(*(name for name in {light} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_environment_is_read_in_settings_only(module: Path) -> None:
    reads = [name for name in imports_of(module) if name in ("os.environ", "os.getenv")]
    reads += [
        node.attr
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    # The embedded server's processes get a clean environment: PATH, and where libraries are.
    assert not reads or name_of(module) in ("loanmetrics.settings", "loanmetrics.store.embedded.account")
