"""The parts of pages that are written from the program itself, where a page says ``<!-- generated: NAME -->``."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import executed
import typer.main
import typer.testing

import loanmetrics
from loanmetrics import cli, errors
from loanmetrics.engine.diff.causes import CAUSES
from loanmetrics.engine.rollforward import MOVES
from loanmetrics.http.openapi import document
from loanmetrics.http.table import BASE, ROUTES
from loanmetrics.policy import Policy
from loanmetrics.settings import PREFIX, Settings, default_home
from loanmetrics.store import ddl
from loanmetrics.tables import TABLES, Table

MARK = re.compile(r"<!-- generated: (\w+) ?(\w*) -->")
WIDTH = 100
HOME = "~/.local/share/loanmetrics"
CLASSES = ("Book", "Policy")


def completed(text: str) -> str:
    """A page with its generated parts in their places."""
    return MARK.sub(lambda found: PARTS[found[1]](*filter(None, [found[2]])), text)


def commands() -> str:
    """Every command with all of its help, as it says it itself."""
    return "\n\n".join(_command(words) for words in _verbs(typer.main.get_command(cli.app), ()))


def _verbs(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, part in sorted(getattr(command, "commands", {}).items()):
        yield from _verbs(part, (*words, name))


def _command(words: tuple[str, ...]) -> str:
    runner = typer.testing.CliRunner(env={"COLUMNS": str(WIDTH), "TERMINAL_WIDTH": str(WIDTH)})
    told = runner.invoke(cli.app, [*words, "--help"], prog_name="loanmetrics", max_content_width=WIDTH)
    return f"## {' '.join(('loanmetrics', *words))}\n\n{_fence('text', told.stdout.strip())}"


def settings() -> str:
    """Every setting, its variable of the environment and its default."""
    rows = (
        (
            f"`{row['name']}`",
            f"`{PREFIX}{row['name'].upper()}`",
            f"`{_portable(row['default'])}`",
            row["help"],
        )
        for row in Settings(home=default_home()).rows()
    )
    return _table(("setting", "variable", "default", "what it is"), rows)


def _portable(default: str) -> str:
    return default.replace(str(default_home()), HOME)


def policy() -> str:
    """Every convention with its default."""
    return _fence("toml", Policy().to_toml().strip())


def exit_codes() -> str:
    """Every error of the family and what a command that ends with it returns."""
    family = sorted(_family(errors.LoanmetricsError), key=lambda kind: (kind.exit_code, kind.__name__))
    rows = ((str(kind.exit_code), f"`{kind.__name__}`", _first_line(kind)) for kind in family)
    return _table(("exit code", "error", "what it says"), rows)


def _family(kind: type[errors.LoanmetricsError]) -> Iterator[type[errors.LoanmetricsError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _family(narrower)


def _first_line(documented: Any) -> str:
    return str(documented.__doc__).split("\n", 1)[0]


def tables() -> str:
    """Every table with its columns and the rules that hold a row back."""
    return "\n\n".join(_described(table) for table in TABLES.values())


def _described(table: Table) -> str:
    facts = [f"Written by {'the lender' if table.writer == 'lender' else 'loanmetrics'}"]
    facts += [f"key {', '.join(table.key)}"] + (
        [f"partitioned by {table.partition_by}"] if table.partition_by else []
    )
    columns = (
        (f"`{column.name}`", ddl.sql_type(table, column), "" if column.null else "required", _about(column))
        for column in table.columns
    )
    parts = [f"## {table.name}", f"{table.about} {'; '.join(facts)}.".strip()]
    parts.append(_table(("column", "type", "", "what it is"), columns))
    if table.rules:
        parts.append("A row is held back where:")
        parts.append(
            _table(("rule", "the row"), ((f"`{rule.name}`", f"`{rule.bad}`") for rule in table.rules))
        )
    return "\n\n".join(parts)


def _about(column: Any) -> str:
    allowed = f"one of {', '.join(column.one_of)}" if column.one_of else ""
    personal = "personal data" if column.personal else ""
    return "; ".join(part for part in (column.about, allowed, personal) if part)


def schema() -> str:
    """The whole DDL as it is declared today."""
    return _fence("sql", ddl.schema().strip())


def http() -> str:
    """Every operation of the HTTP API, from the description that a server gives of itself."""
    described = json.loads(document(ROUTES, BASE))
    schemas = described["components"]["schemas"]
    parts: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            told = _operation(path, method, operation, schemas)
            parts.setdefault(operation["tags"][0], []).append(told)
    return "\n\n".join("\n\n".join([f"## {tag}", *told]) for tag, told in parts.items())


def _operation(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    role = operation["x-role"]
    who = "Open to anybody" if role == "public" else f"For {role}s"
    parts = [f"### {method.upper()} {path}", f"{operation['summary']}. {who}."]
    if operation["parameters"]:
        rows = (
            (
                f"`{it['name']}`",
                it["in"],
                "required" if it["required"] else "",
                _values({**it["schema"], **it}),
            )
            for it in operation["parameters"]
        )
        parts.append(_table(("parameter", "in", "", "values"), rows))
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        parts += ["Takes a JSON body:", _fields(schemas[body["$ref"].rpartition("/")[2]])]
    parts.append(f"Answers: {', '.join(operation['responses'])}.")
    return "\n\n".join(parts)


def _fields(body: dict[str, Any]) -> str:
    required = body.get("required", ())
    rows = (
        (f"`{name}`", "required" if name in required else "", _values(it))
        for name, it in body["properties"].items()
    )
    return _table(("field", "", "values"), rows)


def _values(schema: dict[str, Any]) -> str:
    """What may be given, in a few words; lists of column names are those of the page on metrics."""
    if "description" in schema:
        return str(schema["description"])
    if "anyOf" in schema:
        return " or ".join(_values(kind) for kind in schema["anyOf"])
    if schema.get("type") == "array":
        return f"one or several: {_values(schema['items'])}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "pattern" in schema and len(schema["pattern"]) > WIDTH:
        return "names of columns, separated by commas"
    kind = schema.get("format") or schema.get("type", "")
    kind = " or ".join(kind) if isinstance(kind, list) else kind
    limits = [
        f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema
    ]
    return " ".join([kind, *limits])


def python() -> str:
    """Everything that ``import loanmetrics as lm`` offers, from its docstrings."""
    functions = [name for name in loanmetrics.__all__ if name not in CLASSES]
    lines = [".. autoclass:: loanmetrics.Book()", "   :members: sample, scan, on", ""]
    for name in functions:
        lines += [f".. autofunction:: loanmetrics.{name}", ""]
    lines += [".. autoclass:: loanmetrics.explanation.Explanation", ""]
    lines += [".. autoclass:: loanmetrics.explanation.Account", ""]
    lines += [".. autoclass:: loanmetrics.engine.metric.Metric", ""]
    lines += [".. autoclass:: loanmetrics.engine.metric.Measure", ""]
    return _fence("{eval-rst}", "\n".join(lines))


def causes() -> str:
    """Why a figure differs, or came where it is."""
    rows = ((f"`{name}`", about) for name, about in {**CAUSES, **MOVES}.items())
    return _table(("cause", "what happened"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_in_a_cell, line))} |" for line in lines)


def _in_a_cell(text: str) -> str:
    return text.replace("|", "\\|")


def _fence(kind: str, text: str) -> str:
    return f"```{kind}\n{text}\n```"


PARTS: dict[str, Callable[..., str]] = {
    "commands": commands,
    "settings": settings,
    "policy": policy,
    "exit_codes": exit_codes,
    "tables": tables,
    "schema": schema,
    "http": http,
    "python": python,
    "causes": causes,
    "notebook": executed.page,
}
