"""Hold a CycloneDX bill of materials to a lock file: python scripts/sbom.py SBOM LOCKED. Standard library only.

Every locked package that is installed here must be in it at the locked version, with a licence and its dependencies.
"""

import json
import re
import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def main(sbom: str, locked: str) -> int:
    told = json.loads(Path(sbom).read_text())
    here = {normal(it.metadata["Name"]) for it in distributions()}
    wanted = {name: version for name, version in pinned(Path(locked).read_text()).items() if name in here}
    wrong = faults(told, wanted)
    for line in wrong:
        say(f"error: {line}")
    if not wrong:
        say(f"{sbom}: {len(told['components'])} components, {len(wanted)} of them locked in {locked}")
    return bool(wrong)


def pinned(text: str) -> dict[str, str]:
    """Names and versions of a lock file."""
    return {normal(name): version for name, version in PINNED.findall(text)}


def faults(told: Mapping[str, Any], wanted: Mapping[str, str]) -> list[str]:
    """What is missing, at another version, without a licence, or apart from the graph."""
    found = {normal(it["name"]): it for it in told.get("components", ())}
    graph = {it["ref"] for it in told.get("dependencies", ())}
    wrong = []
    for name, version in wanted.items():
        it = found.get(name)
        if it is None:
            wrong.append(f"{name} is missing")
        elif it["version"] != version:
            wrong.append(f"{name} is {it['version']}, locked is {version}")
        elif not it.get("licenses"):
            wrong.append(f"{name} has no licence")
        elif it["bom-ref"] not in graph:
            wrong.append(f"{name} has no place among the dependencies")
    return wrong


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
