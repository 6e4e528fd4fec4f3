"""Where the server keeps its files: under the home, or, where its account cannot enter that, elsewhere."""

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from loanmetrics.errors import StoreError
from loanmetrics.store.embedded.account import Account, server_account
from loanmetrics.store.embedded.locks import held

# Only used as root. A database is no temporary file, so /var/tmp, which is cleaned by age, comes second.
SHARED_PARENTS = (Path("/var/lib"), Path("/var/tmp"))
LONGEST_SOCKET = 107 - len("/.s.PGSQL.5432.lock")


def place_of(home: Path) -> Path:
    """The folder that holds the data, the locks and the log."""
    inside = home / "postgres"
    try:
        inside.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {inside}: {error.strerror}", "set LOANMETRICS_HOME") from None
    _check_mine(inside)
    remembered = inside / "elsewhere"
    with held(inside / "lock"):
        if remembered.exists():
            return _recalled(Path(remembered.read_text()), remembered)
        return inside if server_account().reaches(inside) else _moved(inside, remembered)


def shared_folder() -> Path:
    """A folder that only root may change and all may enter."""
    account = server_account()
    for parent in SHARED_PARENTS:
        folder = parent / "loanmetrics"
        try:
            folder.mkdir(mode=0o755, exist_ok=True)
            _check_mine(folder)
        except (OSError, StoreError):
            continue
        if account.reaches(folder):
            return folder
    raise StoreError(f"no folder for the server's files in {' or '.join(map(str, SHARED_PARENTS))}")


def socket_folder(place: Path, account: Account) -> Path:
    """A short path, as sockets need; private, since whoever reaches the socket may do everything."""
    name = f"loanmetrics-{hashlib.sha256(os.fsencode(place)).hexdigest()[:12]}"
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):
        folder = Path(parent, name)
        if len(os.fsencode(folder)) <= LONGEST_SOCKET and account.reaches(Path(parent)):
            return _private(folder, account)
    raise StoreError("no folder with a path short enough for a socket", "set TMPDIR to a short path")


def _private(folder: Path, account: Account) -> Path:
    if not folder.exists():
        account.own(folder)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o077:
        raise StoreError(f"{folder} is not a private folder of the server's user", "remove it, or set TMPDIR")
    return folder


def _recalled(place: Path, remembered: Path) -> Path:
    if not place.is_dir():
        raise StoreError(
            f"the data of this home was in {place}, which is gone", f"remove {remembered} to begin anew"
        )
    _check_mine(place)
    return place


def _moved(inside: Path, remembered: Path) -> Path:
    """Keyed by the home's path, so that homes made and removed again leave one folder behind, not many."""
    if (inside / "data").exists():
        raise StoreError(f"the server's user can no longer enter {inside}", "chmod o+x its parent folders")
    place = shared_folder() / f"home-{hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o755)
    partial = remembered.with_suffix(f".{os.getpid()}")
    partial.write_text(str(place))
    partial.rename(remembered)
    return place


def _check_mine(folder: Path) -> None:
    """Nobody else may have planted it or may change it."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StoreError(f"{folder} is not a folder that only this user may change", "set LOANMETRICS_HOME")
