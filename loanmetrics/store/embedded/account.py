"""Who the server runs as. PostgreSQL refuses root, so as root it runs as ``nobody``, without su or sudo."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loanmetrics.errors import StoreError

NOBODY = "nobody"


@dataclass(frozen=True)
class Account:
    """The user and group of the server's processes and files."""

    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        return self.uid != os.geteuid()

    def run(
        self, command: Sequence[str | Path], *, pass_fds: Sequence[int] = (), output: int = subprocess.PIPE
    ) -> subprocess.CompletedProcess[str]:
        """Run as this account, out of reach of Ctrl-C and of the PG* variables meant for clients."""
        try:
            return subprocess.run(
                command,
                user=self.uid if self.is_other else None,
                group=self.gid if self.is_other else None,
                extra_groups=() if self.is_other else None,
                umask=0o077,
                env=_environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                start_new_session=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise StoreError(f"cannot run {command[0]} as user {self.uid}: {error.strerror}") from None

    def reaches(self, path: Path) -> bool:
        """Whether it may enter a folder, or execute a file."""
        if not self.is_other:
            return os.access(path, os.X_OK)
        return self.run(["/bin/sh", "-c", 'test -x "$0"', path]).returncode == 0

    def own(self, folder: Path) -> None:
        """Make a private folder of this account."""
        folder.mkdir(mode=0o700)
        if self.is_other:
            shutil.chown(folder, self.uid, self.gid)


def server_account() -> Account:
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    try:
        entry = pwd.getpwnam(NOBODY)
    except KeyError:
        raise StoreError(
            f"PostgreSQL does not run as root, and there is no user {NOBODY} to run it",
            "run as an ordinary user, or set LOANMETRICS_DATABASE_URL",
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
