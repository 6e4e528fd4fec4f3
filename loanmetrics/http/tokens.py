"""Access tokens: JWTs that say who asks and what he may do, checked whole, and against the team as it is now.

Ours name issuer, audience, member, role, the member's version, when they were issued and run out, and an id. An outside
issuer's name a member by ``email``; they are worth no more than the member's own role.
"""

import hashlib
import json
import math
import secrets
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError
from joserfc.jws import JWSRegistry

from loanmetrics.errors import AuthenticationError, UsageError
from loanmetrics.http.keys import LONGEST, Key, Keyring, OutsideKeys, OwnKeys, Secret
from loanmetrics.settings import Settings
from loanmetrics.tables import ACCESS_ROLES

if TYPE_CHECKING:
    from loanmetrics.store.members import Access, Member

HOURS = 24
MOST_HOURS = LONGEST.days * 24
# How far the clocks of two machines may be apart.
SKEW = 60
FRESH = 60.0
MOST_SEEN = 2_000
LONGEST_TOKEN = 8_192
INVALID = "the access token is not valid"
EXPIRED = "the access token has run out"

Role = Literal["viewer", "auditor", "admin"]
Claims = TypeVar("Claims", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a member of the team, and what he may do by this token."""

    member_id: int
    role: str
    token_id: str
    expires: int


class _Own(msgspec.Struct, frozen=True):
    sub: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,17}$")]
    role: Role
    mv: Annotated[int, msgspec.Meta(ge=1)]
    iat: int
    exp: int
    jti: Annotated[str, msgspec.Meta(min_length=1)]


class _Outside(msgspec.Struct, frozen=True):
    sub: Annotated[str, msgspec.Meta(min_length=1)]
    role: Role
    email: Annotated[str, msgspec.Meta(min_length=3)]
    iat: int
    exp: int
    jti: Annotated[str, msgspec.Meta(min_length=1)]


class _Algorithms(JWSRegistry):
    """joserfc warns at every token that EdDSA has a newer name; tokens of the older one are sound."""

    def get_alg(self, name: str) -> Any:
        if not self.allowed or name not in self.allowed or name not in self.algorithms:
            raise AuthenticationError(INVALID)
        return self.algorithms[name]


class _Claims(jwt.JWTClaimsRegistry):
    """A token runs out to the second; only its beginning allows for clocks that are apart."""

    def validate_iat(self, value: Any) -> None:
        if value > self.now + SKEW:
            raise InvalidClaimError("iat")

    def validate_nbf(self, value: Any) -> None:
        if value > self.now + SKEW:
            raise InvalidClaimError("nbf")


class Team:
    """What everybody may do, never older than ``FRESH`` seconds."""

    def __init__(
        self, read: Callable[[], "Mapping[int, Access]"], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._taken = -math.inf
        self._copy: Mapping[int, Access] = {}

    def member(self, member_id: int, version: int) -> "Access | None":
        """What the member may do; a token newer than the copy has it read again."""
        found = self._since(self._clock() - FRESH).get(member_id)
        if found is None or found.version < version:
            found = self._since(self._clock()).get(member_id)
        return found

    def with_email(self, email: str) -> "tuple[int, Access] | None":
        """The member with this address."""
        for begin in (self._clock() - FRESH, self._clock()):
            for member_id, found in self._since(begin).items():
                if found.email == email.lower():
                    return member_id, found
        return None

    def _since(self, moment: float) -> "Mapping[int, Access]":
        """A copy that was begun at this moment or later."""
        with self._lock:
            if self._taken < moment:
                began = self._clock()
                self._copy, self._taken = self._read(), began
            return self._copy


class Tokens:
    """Makes access tokens and says who shows one; raises AuthenticationError for one that is not sound."""

    def __init__(self, settings: Settings, team: Team, clock: Callable[[], float] = time.time) -> None:
        self._issuer = settings.token_issuer
        self._audience = settings.token_audience
        self._team = team
        self._clock = clock
        self._seen: dict[bytes, tuple[Key, dict[str, Any], msgspec.Struct]] = {}
        secret = settings.api_secret_file
        self._own: OwnKeys | Secret = Secret(secret) if secret else OwnKeys(keys_folder(settings))
        self._outside_issuer = settings.jwks_issuer
        self._outside = OutsideKeys(settings.jwks_file) if settings.jwks_file else None
        if bool(self._outside) != bool(self._outside_issuer) or self._outside_issuer == self._issuer:
            raise UsageError(
                "jwks_file and jwks_issuer name one outside issuer, by both", "set the other, or none"
            )

    def issue(self, member: "Member", hours: float = HOURS) -> str:
        """An access token of a member."""
        self.check_hours(hours)
        kid, key = self._own.signing()
        now = int(self._clock())
        algorithm = self._own.algorithms[0]
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(member.member_id),
            "role": member.access_role,
            "mv": member.version,
            "iat": now,
            "exp": now + round(hours * 3600),
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(
            {"alg": algorithm, "kid": kid}, claims, key, registry=_Algorithms(algorithms=[algorithm])
        )

    @staticmethod
    def check_hours(hours: float) -> None:
        """Refuse a token that would be good for nothing, or for too long."""
        if not 0 < hours <= MOST_HOURS:
            raise UsageError(f"a token is good for up to {MOST_HOURS} hours", f"--hours {HOURS}")

    def principal(self, text: str) -> Principal:
        """Who shows this token."""
        issuer, kid = _unproven(text)
        if issuer == self._issuer:
            return self._member(self._proven(text, kid, self._own, issuer, _Own))
        if self._outside and issuer == self._outside_issuer:
            return self._guest(self._proven(text, kid, self._outside, issuer, _Outside))
        raise AuthenticationError(INVALID)

    def _proven(self, text: str, kid: str, keys: Keyring, issuer: str, kind: type[Claims]) -> Claims:
        """The claims of a token that is signed by the issuer's own key, is meant for us and has not run out."""
        key = keys.find(kid)
        if key is None:
            raise AuthenticationError(INVALID)
        try:
            said, claims = self._signed(text, key, keys.algorithms, kind)
            self._rules(issuer).validate(said)
        except ExpiredTokenError:
            raise AuthenticationError(EXPIRED) from None
        except (JoseError, msgspec.ValidationError, ValueError, TypeError):
            raise AuthenticationError(INVALID) from None
        return claims

    def _signed(
        self, text: str, key: Key, algorithms: tuple[str, ...], kind: type[Claims]
    ) -> tuple[dict[str, Any], Claims]:
        """What a token says, if this key signed it. That stays true, so it is found out once; all else is not."""
        name = hashlib.sha256(text.encode()).digest()
        found = self._seen.get(name)
        if found and found[0] is key and isinstance(found[2], kind):
            return found[1], found[2]
        token = jwt.decode(text, key, registry=_Algorithms(algorithms=algorithms))
        claims = msgspec.convert(token.claims, kind, strict=True)
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen[name] = key, token.claims, claims
        return token.claims, claims

    def _rules(self, issuer: str) -> _Claims:
        return _Claims(
            now=int(self._clock()),
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
        )

    def _member(self, claims: _Own) -> Principal:
        member_id = int(claims.sub)
        found = self._team.member(member_id, claims.mv)
        if (
            found is None
            or not found.is_active
            or (found.version, found.access_role) != (claims.mv, claims.role)
        ):
            raise AuthenticationError(INVALID)
        return Principal(member_id, claims.role, claims.jti, claims.exp)

    def _guest(self, claims: _Outside) -> Principal:
        found = self._team.with_email(claims.email)
        if found is None or not found[1].is_active or found[1].access_role is None:
            raise AuthenticationError(INVALID)
        role = min(claims.role, found[1].access_role, key=ACCESS_ROLES.index)
        return Principal(found[0], role, claims.jti, claims.exp)


def keys_folder(settings: Settings) -> Path:
    """Where our own keys are."""
    return settings.home / "keys"


def _unproven(text: str) -> tuple[str, str]:
    """Which issuer and which key a token says it is of; whether that is so is found out with that key."""
    if len(text) > LONGEST_TOKEN or text.count(".") != 2:
        raise AuthenticationError(INVALID)
    header, payload, _ = text.split(".")
    try:
        issuer, kid = _part(payload)["iss"], _part(header)["kid"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise AuthenticationError(INVALID) from None
    if not isinstance(issuer, str) or not isinstance(kid, str):
        raise AuthenticationError(INVALID)
    return issuer, kid


def _part(text: str) -> Any:
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
