"""Access tokens: each attack is refused, keys rotate, and the team as it is now has the last word."""

import base64
import hashlib
import hmac
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey, RSAKey

from loanmetrics.errors import AuthenticationError, StoreError, UsageError
from loanmetrics.http.keys import OwnKeys, Secret
from loanmetrics.http.tokens import EXPIRED, INVALID, Principal, Team, Tokens, keys_folder
from loanmetrics.settings import Settings
from loanmetrics.store.members import Access, Member
from tests.http.clock import Clock

ADA = Member(7, "Ada", "ada@example.com", None, None, True, "auditor", 3)
SECRET = b"0123456789abcdef0123456789abcdef"


@dataclass
class House:
    """An installation with its keys, its clock and its team."""

    settings: Settings
    clock: Clock = field(default_factory=lambda: Clock(1_800_000_000))
    ticks: Clock = field(default_factory=Clock)
    access: dict[int, Access] = field(
        default_factory=lambda: {7: Access(3, True, "auditor", "ada@example.com")}
    )
    reads: int = 0

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.settings, Team(self._read, self.ticks), self.clock)

    def _read(self) -> dict[int, Access]:
        self.reads += 1
        return dict(self.access)

    @property
    def keys(self) -> OwnKeys:
        return OwnKeys(keys_folder(self.settings))

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock())
        told = {
            "iss": "loanmetrics",
            "aud": "loanmetrics",
            "sub": "7",
            "role": "auditor",
            "mv": 3,
            "iat": now,
            "exp": now + 3600,
            "jti": "j",
        }
        told |= changes
        return {name: value for name, value in told.items() if value is not None}

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        kid, key = self.keys.signing()
        return sign({"alg": "Ed25519", "kid": kid, **header}, claims, key)


def sign(header: dict[str, Any], claims: Any, key: Any) -> str:
    algorithm = header["alg"]
    if algorithm != "Ed25519":
        return jwt.encode(header, claims, key, algorithms=[algorithm])
    # The library warns when asked for EdDSA by its older name: the same signature is made by hand.
    parts = [encoded(json.dumps(part).encode()) for part in ({**header, "alg": "EdDSA"}, claims)]
    signature = key.get_op_key("sign").sign(".".join(parts).encode())
    return ".".join([*parts, encoded(signature)])


def encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    parts = [{"alg": "none", "typ": "JWT", **header}, claims]
    return ".".join([*(encoded(json.dumps(part).encode()) for part in parts), ""])


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(Settings(home=tmp_path / "home"))


def test_a_token_says_who_asks(house: House) -> None:
    told = house.tokens.principal(house.tokens.issue(ADA))
    assert replace(told, token_id="") == Principal(7, "auditor", "", int(house.clock()) + 24 * 3600)


def test_every_token_has_an_id_of_its_own(house: House) -> None:
    ids = {house.tokens.principal(house.tokens.issue(ADA)).token_id for _ in range(5)}
    assert len(ids) == 5


def test_the_table_of_attacks_starts_from_a_sound_token(house: House) -> None:
    assert house.tokens.principal(house.signed(house.claims())).member_id == 7


CHANGED: dict[str, dict[str, Any]] = {
    **{f"no {name}": {name: None} for name in ("iss", "aud", "sub", "role", "mv", "iat", "exp", "jti")},
    "another audience": {"aud": "others"},
    "other audiences": {"aud": ["others", "more"]},
    "another issuer": {"iss": "https://evil.example"},
    "issuers": {"iss": ["loanmetrics"]},
    "a number for an issuer": {"iss": 1},
    "an unknown role": {"role": "root"},
    "a role that is not hers": {"role": "admin"},
    "roles": {"role": ["auditor"]},
    "an old version": {"mv": 2},
    "a version to come": {"mv": 4},
    "a text for a version": {"mv": "3"},
    "true for a version": {"mv": True},
    "another member": {"sub": "8"},
    "a number for a member": {"sub": 7},
    "no member": {"sub": ""},
    "a negative member": {"sub": "-7"},
    "a member with blanks": {"sub": " 7"},
    "not a number's expiry": {"exp": float("nan")},
    "no end": {"exp": float("inf")},
    "a text for an expiry": {"exp": "9999999999"},
    "true for an expiry": {"exp": True},
    "from tomorrow": {"iat": 1_800_000_000 + 86_400},
    "not before tomorrow": {"nbf": 1_800_000_000 + 86_400},
    "no id": {"jti": ""},
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_token_with_wrong_claims_is_refused_though_it_is_signed(house: House, name: str) -> None:
    with pytest.raises(AuthenticationError, match=INVALID):
        house.tokens.principal(house.signed(house.claims(**CHANGED[name])))


@pytest.mark.parametrize(("age", "stands"), [(-1, True), (0, False), (1, False), (86_400, False)])
def test_a_token_runs_out_to_the_second(house: House, age: int, stands: bool) -> None:
    text = house.signed(house.claims())
    house.clock.now += 3600 + age
    if stands:
        assert house.tokens.principal(text).member_id == 7
    else:
        with pytest.raises(AuthenticationError, match=EXPIRED):
            house.tokens.principal(text)


def wrong_key(house: House) -> str:
    kid, _ = house.keys.signing()
    return sign({"alg": "Ed25519", "kid": kid}, house.claims(), OKPKey.generate_key("Ed25519"))


def unknown_kid(house: House) -> str:
    return house.signed(house.claims(), kid="other")


def no_kid(house: House) -> str:
    _, key = house.keys.signing()
    return sign({"alg": "Ed25519"}, house.claims(), key)


def key_in_header(house: House) -> str:
    key = OKPKey.generate_key("Ed25519")
    kid, _ = house.keys.signing()
    return sign({"alg": "Ed25519", "kid": kid, "jwk": key.as_dict(private=False)}, house.claims(), key)


def public_key_as_secret(house: House) -> str:
    """The classic: what is known to all is taken for a shared secret."""
    kid, key = house.keys.signing()
    secret = OctKey.import_key({"kty": "oct", "k": key.as_dict(private=False)["x"]})
    return sign({"alg": "HS256", "kid": kid}, house.claims(), secret)


def changed_payload(house: House) -> str:
    header, _, signature = house.tokens.issue(ADA).split(".")
    payload = encoded(json.dumps(house.claims(role="admin")).encode())
    return ".".join([header, payload, signature])


def cut_signature(house: House) -> str:
    return house.tokens.issue(ADA).rpartition(".")[0] + "."


def critical_header(house: House) -> str:
    return house.signed(house.claims(), crit=["x"], x=1)


def none(house: House) -> str:
    return unsigned(house.claims(), kid=house.keys.signing()[0])


def none_in_capitals(house: House) -> str:
    return unsigned(house.claims(), alg="NONE", kid=house.keys.signing()[0])


def not_an_object(house: House) -> str:
    kid, key = house.keys.signing()
    return sign({"alg": "Ed25519", "kid": kid}, ["iss"], key)


def nested(_: House) -> str:
    return ".".join([encoded(b"[" * 3000), encoded(b"[" * 3000), ""])


def too_long(house: House) -> str:
    return house.signed(house.claims(padding="x" * 9_000))


def of_others(text: str) -> Callable[[House], str]:
    return lambda _: text


FORGED: list[Callable[[House], str]] = [
    *(wrong_key, unknown_kid, no_kid, key_in_header, public_key_as_secret, changed_payload, cut_signature),
    *(critical_header, none, none_in_capitals, not_an_object, nested, too_long),
    *map(
        of_others,
        ["", ".", "..", "...", "a.b.c", "é.é.é", "e30.e30.", "e30.e30.e30.e30.e30", "\0", "\ud800.."],
    ),
]


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_a_forged_token_is_refused(house: House, forge: Callable[[House], str]) -> None:
    with pytest.raises(AuthenticationError, match=INVALID):
        house.tokens.principal(forge(house))


@pytest.mark.parametrize("hours", [0, -1, 721, float("nan")])
def test_a_token_is_good_for_a_while(house: House, hours: float) -> None:
    with pytest.raises(UsageError, match="720 hours"):
        house.tokens.issue(ADA, hours)


@pytest.mark.parametrize(
    "access",
    [
        Access(3, False, "auditor", "ada@example.com"),
        Access(4, True, "auditor", "ada@example.com"),
        Access(3, True, "viewer", "ada@example.com"),
        Access(3, True, None, "ada@example.com"),
        None,
    ],
)
def test_whoever_may_no_longer_come_in_is_refused_within_a_minute(
    house: House, access: Access | None
) -> None:
    text = house.tokens.issue(ADA)
    house.tokens.principal(text)
    house.access = {7: access} if access else {}
    house.ticks.now += 60
    assert house.tokens.principal(text).member_id == 7
    house.ticks.now += 0.001
    with pytest.raises(AuthenticationError):
        house.tokens.principal(text)


def test_the_team_is_read_once_a_minute(house: House) -> None:
    text = house.tokens.issue(ADA)
    for _ in range(8):
        house.tokens.principal(text)
        house.ticks.now += 15
    assert house.reads == 2


def test_a_token_newer_than_the_copy_is_good_at_once(house: House) -> None:
    house.tokens.principal(house.tokens.issue(ADA))
    house.access = {
        7: Access(4, True, "admin", "ada@example.com"),
        8: Access(1, True, "viewer", "obi@example.com"),
    }
    house.ticks.now += 1
    promoted = house.tokens.principal(house.tokens.issue(replace(ADA, version=4, access_role="admin")))
    assert promoted.role == "admin"
    obi = replace(ADA, member_id=8, version=1, access_role="viewer")
    assert house.tokens.principal(house.tokens.issue(obi)).member_id == 8


def test_keys_are_made_on_first_use_and_are_nobody_elses(house: House) -> None:
    house.tokens.issue(ADA)
    folder = keys_folder(house.settings)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (file,) = folder.glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_workers_that_start_at_once_make_one_key(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from loanmetrics.http.keys import OwnKeys\n"
        "sys.stdin.readline(); print(OwnKeys(Path(sys.argv[1])).signing()[0])"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "keys")]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    with ThreadPoolExecutor(3) as pool:
        kids = {out for out, _ in pool.map(lambda process: process.communicate("go\n"), started)}
    assert len(kids) == 1
    assert len(list((tmp_path / "keys").glob("*.json"))) == 1


def test_after_a_rotation_the_new_key_signs_and_the_old_one_still_checks(house: House) -> None:
    before = house.tokens.issue(ADA)
    kid = house.keys.rotate()
    after = house.tokens.issue(ADA)
    assert json.loads(base64.urlsafe_b64decode(after.split(".")[0] + "==="))["kid"] == kid
    assert house.tokens.principal(before).member_id == house.tokens.principal(after).member_id == 7


def test_a_key_goes_once_its_last_token_has_run_out(house: House) -> None:
    long_ago, now = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    first, second = house.keys.rotate(long_ago), house.keys.rotate(long_ago + timedelta(days=1))
    third = house.keys.rotate(now)
    assert house.keys.find(first) is None
    assert house.keys.find(second) is not None
    assert house.keys.signing()[0] == third


def test_a_token_that_was_good_is_refused_once_its_key_is_gone_or_it_has_run_out(house: House) -> None:
    token = house.tokens.issue(ADA)
    assert house.tokens.principal(token) == house.tokens.principal(token)
    (file,) = keys_folder(house.settings).glob("*.json")
    away = file.rename(file.with_suffix(".away"))
    with pytest.raises(AuthenticationError, match=INVALID):
        house.tokens.principal(token)
    away.rename(file)
    assert house.tokens.principal(token).member_id == 7
    house.clock.now += 24 * 3600
    with pytest.raises(AuthenticationError, match=EXPIRED):
        house.tokens.principal(token)


def test_a_key_that_others_can_read_is_refused(house: House) -> None:
    house.tokens.issue(ADA)
    (file,) = keys_folder(house.settings).glob("*.json")
    file.chmod(0o640)
    with pytest.raises(UsageError, match=r"can be read by others \(chmod 600"):
        OwnKeys(file.parent).signing()


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"kty": "OKP"}', '{"kty": "RSA", "n": "AQ", "e": "AQAB"}']
)
def test_a_file_that_is_no_key_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "20260101T000000000000-x.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(StoreError, match="holds no key"):
        OwnKeys(tmp_path).signing()


def secret_file(folder: Path, secret: bytes, mode: int = 0o600) -> Path:
    file = folder / "secret"
    file.write_bytes(secret)
    file.chmod(mode)
    return file


def test_a_shared_secret_signs_where_it_is_set(tmp_path: Path) -> None:
    house = House(Settings(home=tmp_path, api_secret_file=secret_file(tmp_path, SECRET + b"\n")))
    text = house.tokens.issue(ADA)
    assert house.tokens.principal(text).member_id == 7
    assert not keys_folder(house.settings).exists()
    with pytest.raises(AuthenticationError):
        house.tokens.principal(house.signed(house.claims()))


def test_a_token_of_another_secret_is_refused(tmp_path: Path) -> None:
    house = House(Settings(home=tmp_path, api_secret_file=secret_file(tmp_path, SECRET)))
    kid, _ = Secret(tmp_path / "secret").signing()
    other = OctKey.import_key(SECRET[::-1])
    with pytest.raises(AuthenticationError):
        house.tokens.principal(sign({"alg": "HS256", "kid": kid}, house.claims(), other))


@pytest.mark.parametrize(
    ("secret", "mode", "message"),
    [
        (SECRET[:31], 0o600, "shorter than 32 bytes"),
        (SECRET[:20] + b"\n" * 20, 0o600, "shorter than 32 bytes"),
        (b"", 0o600, "shorter than 32 bytes"),
        (SECRET, 0o644, "can be read by others"),
        (RSAKey.generate_key(2048).as_pem(private=False), 0o600, "a public key"),
    ],
)
def test_a_secret_that_is_none_is_refused(tmp_path: Path, secret: bytes, mode: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        House(Settings(home=tmp_path, api_secret_file=secret_file(tmp_path, secret, mode)))


def test_a_secret_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        House(Settings(home=tmp_path, api_secret_file=tmp_path / "nowhere"))


ISSUER = "https://id.example.com"
RSA = RSAKey.generate_key(2048, {"kid": "r", "use": "sig"})
OKP = OKPKey.generate_key("Ed25519", {"kid": "o"})


def jwks(folder: Path, *keys: dict[str, Any]) -> Path:
    file = folder / "jwks.json"
    file.write_text(json.dumps({"keys": keys}))
    return file


@pytest.fixture
def open_house(tmp_path: Path) -> House:
    file = jwks(tmp_path, RSA.as_dict(private=False), OKP.as_dict(private=False))
    return House(Settings(home=tmp_path / "home", jwks_file=file, jwks_issuer=ISSUER))


def outside(house: House, **changes: Any) -> dict[str, Any]:
    return house.claims(**{"iss": ISSUER, "sub": "auth|1", "email": "Ada@example.com", "mv": None, **changes})


@pytest.mark.parametrize(("alg", "key"), [("RS256", RSA), ("Ed25519", OKP)])
def test_an_outside_issuer_vouches_for_a_member(open_house: House, alg: str, key: Any) -> None:
    text = sign({"alg": alg, "kid": key.kid}, outside(open_house), key)
    assert open_house.tokens.principal(text).member_id == 7


@pytest.mark.parametrize(
    ("claimed", "role"), [("viewer", "viewer"), ("auditor", "auditor"), ("admin", "auditor")]
)
def test_an_outside_token_is_worth_no_more_than_the_member(
    open_house: House, claimed: str, role: str
) -> None:
    text = sign({"alg": "RS256", "kid": "r"}, outside(open_house, role=claimed), RSA)
    assert open_house.tokens.principal(text).role == role


OUTSIDE: dict[str, dict[str, Any]] = {
    **{f"no {name}": {name: None} for name in ("aud", "sub", "role", "email", "iat", "exp", "jti")},
    "somebody else": {"email": "eve@example.com"},
    "our own name": {"iss": "loanmetrics", "sub": "7", "mv": 3},
    "another issuer": {"iss": ISSUER + "/"},
    "run out": {"exp": 1},
    "another audience": {"aud": "others"},
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_an_outside_token_that_is_not_sound_is_refused(open_house: House, name: str) -> None:
    with pytest.raises(AuthenticationError):
        open_house.tokens.principal(
            sign({"alg": "RS256", "kid": "r"}, outside(open_house, **OUTSIDE[name]), RSA)
        )


def test_our_own_key_does_not_speak_for_an_outside_issuer(open_house: House) -> None:
    with pytest.raises(AuthenticationError):
        open_house.tokens.principal(open_house.signed(outside(open_house)))


def test_an_outside_public_key_is_no_secret(open_house: House) -> None:
    """The library refuses to take a public key for a secret: the same is done by hand."""
    parts = [
        encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "r"}, outside(open_house))
    ]
    signature = hmac.digest(RSA.as_pem(private=False), ".".join(parts).encode(), hashlib.sha256)
    with pytest.raises(AuthenticationError):
        open_house.tokens.principal(".".join([*parts, encoded(signature)]))


def test_a_disabled_member_is_refused_whoever_vouches(open_house: House) -> None:
    open_house.access = {7: Access(3, False, "auditor", "ada@example.com")}
    with pytest.raises(AuthenticationError):
        open_house.tokens.principal(sign({"alg": "RS256", "kid": "r"}, outside(open_house), RSA))


def test_keys_of_an_outside_issuer_are_read_again_when_they_change(open_house: House) -> None:
    text = sign({"alg": "RS256", "kid": "r"}, outside(open_house), RSA)
    open_house.tokens.principal(text)
    assert open_house.settings.jwks_file is not None
    jwks(open_house.settings.jwks_file.parent, OKP.as_dict(private=False))
    with pytest.raises(AuthenticationError):
        open_house.tokens.principal(text)


def no_rsa_key(bits: int) -> dict[str, Any]:
    return {"kty": "RSA", "kid": "x", "e": "AQAB", "n": encoded(b"\xc1" * (bits // 8))}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([{"kty": "oct", "k": encoded(SECRET), "kid": "x"}], "it holds a secret"),
        ([{**OKP.as_dict(private=False), "kid": None}], "a key has no kid"),
        ([no_rsa_key(1024)], "shorter than 2048 bits"),
        ([{"kty": "XYZ", "kid": "x"}], "is of no use"),
        ([1], "is of no use"),
    ],
)
def test_a_jwks_file_that_is_of_no_use_is_refused(tmp_path: Path, keys: list[Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        House(Settings(home=tmp_path, jwks_file=jwks(tmp_path, *keys), jwks_issuer=ISSUER))


@pytest.mark.parametrize(
    "settings",
    [{"jwks_issuer": ISSUER}, {"jwks_file": True}, {"jwks_file": True, "jwks_issuer": "loanmetrics"}],
)
def test_an_outside_issuer_has_a_name_and_keys(tmp_path: Path, settings: dict[str, Any]) -> None:
    if "jwks_file" in settings:
        settings = {**settings, "jwks_file": jwks(tmp_path, OKP.as_dict(private=False))}
    with pytest.raises(UsageError, match="name one outside issuer"):
        House(Settings(home=tmp_path, **settings))
