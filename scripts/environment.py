"""Make .venv/NAME hold exactly requirements/NAME.txt and this checkout. Standard library only."""

import fcntl
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
STAMP = "complete"


def main(name: str) -> int:
    environment, wanted = FOLDER / name, identity(name)
    if is_complete(environment, wanted):
        return 0
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return 0 if is_complete(environment, wanted) else build(environment, name, wanted)


def identity(name: str) -> str:
    """Changes whenever the environment must be made anew."""
    parts = [sys.version, sys.base_prefix, str(ROOT)]
    files = [ROOT / "requirements" / f"{name}.txt", ROOT / "pyproject.toml", Path(__file__)]
    parts += [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return "\n".join(parts)


def is_complete(environment: Path, wanted: str) -> bool:
    stamp = environment / STAMP
    return stamp.is_file() and stamp.read_text() == wanted


def build(environment: Path, name: str, wanted: str) -> int:
    locked = Path("requirements") / f"{name}.txt"
    say(f"making .venv/{name} with Python {platform.python_version()} from {locked} (once)")
    shutil.rmtree(environment, ignore_errors=True)
    venv.create(environment, with_pip=True)
    failure = pip(environment, ["--only-binary", ":all:", "--require-hashes", "-r", str(locked)]) or pip(
        environment, ["--no-deps", "--no-index", "--no-build-isolation", "--editable", "."]
    )
    if failure:
        say(f"error: {failure}")
        return 1
    # Last, so that an environment whose making was cut short is never taken for a whole one.
    (environment / STAMP).write_text(wanted)
    return 0


def pip(environment: Path, arguments: Sequence[str]) -> str | None:
    """Install; what went wrong, in one line."""
    log = environment.with_suffix(".log")
    install = ["-m", "pip", "--quiet", "install", "--no-user", "--no-compile"]
    with log.open("w") as output:
        done = subprocess.run(
            [environment / "bin" / "python", *install, *arguments],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return explain(log.read_text(), log) if done.returncode else None


def explain(output: str, log: Path) -> str:
    shown = f"all of pip's words: {log.relative_to(ROOT)}"
    if "connection broken by" in output:
        return f"the package index cannot be reached (see the network and pip config list; {shown})"
    if missing := re.search(r"No matching distribution found for (\S+)", output):
        system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
        return f"no wheel of {missing[1]} fits {system} (try another Python with PYTHON=...; {shown})"
    words = re.search(r"^error: (.+)", output, re.IGNORECASE | re.MULTILINE)
    return f"pip failed: {words[1] if words else 'no reason given'} ({shown})"


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
