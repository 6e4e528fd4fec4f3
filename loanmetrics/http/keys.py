"""Keys that access tokens are signed with and checked by: our own, one shared secret, or an outside issuer's.

Own keys are Ed25519, one file each in ``<home>/keys``, readable by their owner only. The newest signs; the others check
what they signed until it has run out. Processes that share a home share its keys: each looks at the folder every time.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey

from loanmetrics.errors import StoreError, UsageError

Key = OctKey | RSAKey | ECKey | OKPKey

# No token is valid for longer.
LONGEST = timedelta(days=30)
SECRET_BYTES = 32
RSA_BITS = 2048
WRITTEN = "%Y%m%dT%H%M%S%f"


class Keyring(Protocol):
    """Where the key of a token is found by the id in its header."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What its tokens may be signed with."""
        ...

    def find(self, kid: str) -> Key | None:
        """The key with this id."""
        ...


@dataclass
class OwnKeys:
    """The keys of a folder; the first is made when it is first needed."""

    folder: Path
    algorithms: tuple[str, ...] = ("EdDSA",)
    _names: tuple[str, ...] = ()
    _keys: dict[str, OKPKey] = field(default_factory=dict)

    def signing(self) -> tuple[str, Key]:
        """The newest key and its id."""
        if not self._known():
            with self._alone():
                if not self._listed():
                    self._add(datetime.now(UTC))
        kid, key = list(self._known().items())[-1]
        return kid, key

    def find(self, kid: str) -> Key | None:
        """The key with this id."""
        return self._known().get(kid)

    def rotate(self, now: datetime | None = None) -> str:
        """Sign with a new key from now on; keys whose last token has run out are removed."""
        moment = now or datetime.now(UTC)
        with self._alone():
            kid = self._add(moment)
            names = self._listed()
            for name, successor in pairwise(names):
                if _made(successor) < moment - LONGEST:
                    (self.folder / name).unlink()
        return kid

    def _known(self) -> Mapping[str, OKPKey]:
        names = self._listed()
        if names != self._names:
            found = [_read(self.folder / name) for name in names]
            self._keys = {key.kid or "": key for key in found if key}
            self._names = names
        return self._keys

    def _listed(self) -> tuple[str, ...]:
        """Oldest first."""
        try:
            return tuple(sorted(path.name for path in self.folder.iterdir() if path.suffix == ".json"))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def _add(self, moment: datetime) -> str:
        key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "EdDSA"}, auto_kid=True)
        kid = key.kid or ""
        path = self.folder / f"{moment.strftime(WRITTEN)}-{kid}.json"
        fresh = path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(key.as_dict(private=True), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
        return kid

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class Secret:
    """One secret that all who issue and check tokens share."""

    algorithms = ("HS256",)

    def __init__(self, path: Path) -> None:
        secret = _private(path).strip()
        if len(secret) < SECRET_BYTES:
            raise UsageError(
                f"the secret in {path} is shorter than {SECRET_BYTES} bytes", "openssl rand -base64 48"
            )
        try:
            self._key = OctKey.import_key(secret)
        except ValueError:
            raise UsageError(f"{path} holds no secret but a public key", "openssl rand -base64 48") from None
        self._kid = hashlib.sha256(b"kid" + secret).hexdigest()[:16]

    def signing(self) -> tuple[str, Key]:
        """The secret and its id."""
        return self._kid, self._key

    def find(self, kid: str) -> Key | None:
        """The secret, by its id."""
        return self._key if kid == self._kid else None


class OutsideKeys:
    """Public keys of an outside issuer: a JWKS file, read again whenever it has changed."""

    algorithms = ("RS256", "ES256", "EdDSA", "Ed25519")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}
        self._known()

    def find(self, kid: str) -> Key | None:
        """The key with this id."""
        return self._known().get(kid)

    def _known(self) -> Mapping[str, Key]:
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                told = json.loads(self.path.read_bytes())["keys"]
                self._keys = dict(_public(jwk) for jwk in told)
                self._stamp = stamp
        except OSError as error:
            raise UsageError(f"the JWKS file {self.path} cannot be read: {error.strerror}") from None
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"the JWKS file {self.path} is of no use: {error}") from None
        return self._keys


def _public(jwk: Any) -> tuple[str, Key]:
    """A key that can check but not sign: a shared secret is no business of a file of public keys."""
    if not isinstance(jwk, dict):
        raise TypeError("a key is no object")
    if jwk.get("kty") == "oct":
        raise ValueError("it holds a secret")
    if not isinstance(jwk.get("kid"), str):
        raise ValueError("a key has no kid")
    if jwk.get("kty") == "RSA" and len(str(jwk.get("n"))) * 6 < RSA_BITS - 8:
        raise ValueError(f"an RSA key is shorter than {RSA_BITS} bits")
    key = JWKRegistry.import_key(jwk)
    return jwk["kid"], key


def _read(path: Path) -> OKPKey | None:
    """The key in a file; None if it was removed since it was listed."""
    try:
        if not path.exists():
            return None
        return OKPKey.import_key(json.loads(_private(path)))
    except (JoseError, TypeError, ValueError):
        raise StoreError(
            f"{path} holds no key", "move it away: loanmetrics token rotate makes a new one"
        ) from None


def _private(path: Path) -> bytes:
    """The bytes of a file that nobody but its owner can read."""
    try:
        if path.stat().st_mode & 0o077:
            raise UsageError(f"{path} can be read by others", f"chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _made(name: str) -> datetime:
    return datetime.strptime(name.partition("-")[0], WRITTEN).replace(tzinfo=UTC)
