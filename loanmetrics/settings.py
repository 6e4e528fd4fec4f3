"""Settings, and the only place that reads the environment and TOML for them.

A name is looked for among a command's options, then in ``LOANMETRICS_<NAME>``, then in ``loanmetrics.toml`` of the
working directory (or the file named by ``LOANMETRICS_CONFIG``), then has its default. Unknown names are refused
with a hint.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from loanmetrics.engine.catalogue import check_revisions
from loanmetrics.errors import UsageError, unknown
from loanmetrics.policy import CONTROL, Policy, parsed

PREFIX = "LOANMETRICS_"
CONFIG = "LOANMETRICS_CONFIG"
# prometheus_client takes it from nowhere else.
METRICS = "PROMETHEUS_MULTIPROC_DIR"
# The test suite has variables of its own.
NO_SETTINGS = (CONFIG, "LOANMETRICS_TEST_DSN", "LOANMETRICS_GOLDEN")
FILE = "loanmetrics.toml"
PATHS = ("home", "policy_file", "api_secret_file", "jwks_file")
LISTS = ("cors_origins", "proxies")
FACTS = Path("facts")
MOST_BYTES = 1 << 20
MOST_PORT = 65_535
HELP = {
    "database_url": "PostgreSQL to work on; unset: the embedded server",
    "home": "folder of the embedded server and of derived files",
    "facts_dir": "folder of versioned facts, within home unless absolute",
    "facts_url": "object store that has the facts too: s3://BUCKET/PREFIX, gs, abfs or file; unset: facts_dir alone",
    "shard_loans": "loans per shard: memory grows with it",
    "readers": "parallel readers of the source",
    "lock_wait": "seconds that a run waits for another one to end; 0: it gives up at once, exit code 3",
    "scheduler": "Dask scheduler whose workers compute, tcp://HOST:PORT; unset: threads of this process",
    "change_detection": "how a run finds what changed: triggers (a log in the database) or hashes (of all content)",
    "source_url": "PostgreSQL that holds the lender's tables, if it is another; only read; needs hashes",
    "policy_file": "the lender's policy as TOML; unset: canonical defaults",
    "bind": "where serve listens: HOST:PORT or unix:PATH",
    "workers": "processes that serve",
    "threads": "requests that one process answers at a time",
    "cache_mb": "memory of one process for finished answers",
    "redis_url": "Redis or Valkey that workers share; unset: each has its own cache",
    "replica_url": "PostgreSQL replica that figures are read from; unset: database_url",
    "cors_origins": "web pages of which origins may call the API, separated by commas",
    "proxies": "addresses or networks of proxies in front that say who asks (X-Forwarded-For), separated by commas",
    "token_issuer": "who issues our access tokens, as they say it",
    "token_audience": "whom access tokens are meant for, as they say it",
    "api_secret_file": "file with a secret of 32 bytes or more to sign tokens with (HS256); unset: keys in home",
    "jwks_file": "public keys of an outside issuer of access tokens, JWKS; unset: none",
    "jwks_issuer": "that issuer, as its tokens say it",
}
BIND = r"^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):\d{1,5}$|^unix:/.+$"
REDIS = r"^(rediss?(\+cluster|\+sentinel)?|unix)://."
STORE = r"^(s3|gs|abfss?)://[^/:@?#\s]|^file:///[^?#\s]"
# What may follow the question mark: nothing that would let anybody in.
STORE_OPTIONS = {
    *("region", "scheme", "endpoint_override", "project_id", "retry_limit_seconds", "tenant_id", "client_id"),
    *("enable_tls", "credential_kind", "blob_storage_authority", "dfs_storage_authority"),
}
SCHEDULER = r"^(tcp|tls)://[^/\s]+:\d{1,5}$"
ORIGIN = r"^https?://[^/?#\s*]+$"
SECRETS = (
    re.compile(r"(://[^:/@\s]*:)\S*(?=@)"),
    re.compile(r"(password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^&\s]+)"),
)


def default_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Where data lives unless told otherwise: the user's data folder."""
    data = environment.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "loanmetrics"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How this installation runs; what figures mean is the policy's business.

    >>> Settings(home=Path("/srv/lender")).facts_dir.as_posix()
    '/srv/lender/facts'
    """

    database_url: str | None = None
    home: Path = msgspec.field(default_factory=default_home)
    facts_dir: Path = FACTS
    facts_url: Annotated[str, msgspec.Meta(pattern=STORE)] | None = None
    shard_loans: Annotated[int, msgspec.Meta(ge=1_000, le=100_000_000)] = 200_000
    readers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    lock_wait: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0
    scheduler: Annotated[str, msgspec.Meta(pattern=SCHEDULER)] | None = None
    change_detection: Literal["triggers", "hashes"] = "triggers"
    source_url: str | None = None
    policy_file: Path | None = None
    bind: Annotated[str, msgspec.Meta(pattern=BIND)] = "127.0.0.1:8000"
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8
    cache_mb: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 64
    redis_url: Annotated[str, msgspec.Meta(pattern=REDIS)] | None = None
    replica_url: str | None = None
    cors_origins: tuple[Annotated[str, msgspec.Meta(pattern=ORIGIN)], ...] = ()
    proxies: tuple[str, ...] = ()
    token_issuer: Annotated[str, msgspec.Meta(min_length=1)] = "loanmetrics"
    token_audience: Annotated[str, msgspec.Meta(min_length=1)] = "loanmetrics"
    api_secret_file: Path | None = None
    jwks_file: Path | None = None
    jwks_issuer: str | None = None
    sources: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.source_url and self.change_detection == "triggers":
            raise UsageError("settings: source_url has no log of ours", 'set change_detection = "hashes"')
        if self.facts_url:
            bare_address(self.facts_url)
        # Whole paths: settings that are taken from others come through here again.
        msgspec.structs.force_setattr(self, "home", self.home.absolute())
        msgspec.structs.force_setattr(self, "facts_dir", self.home / self.facts_dir)
        for proxy in self.proxies:
            ip_network(proxy)
        port = self.bind.rpartition(":")[2]
        if not self.bind.startswith("unix:") and int(port) > MOST_PORT:
            raise UsageError(f"settings: bind has no port {port}", f"0 to {MOST_PORT}")

    @classmethod
    def load(
        cls, environment: Mapping[str, str] = os.environ, folder: Path | None = None, **options: Any
    ) -> "Settings":
        """Settings of this process, or a UsageError naming what is wrong; ``options`` that are given win."""
        found = {"home": (default_home(environment), "default")}
        found |= _from_file(environment, folder or Path())
        found |= _from_environment(environment)
        found |= {name: (value, f"--{name}") for name, value in options.items() if value is not None}
        values = {name: value for name, (value, _) in found.items()}
        sources = {name: source for name, (_, source) in found.items()}
        return _settings({**values, "sources": sources})

    def but(self, source: str, **given: Any) -> "Settings":
        """These settings with what ``source`` gave in their place (None: nothing), held to the same rules."""
        changed = {name: value for name, value in given.items() if value is not None}
        sources = {**self.sources, **dict.fromkeys(changed, source)}
        return _settings({**msgspec.structs.asdict(self), **changed, "sources": sources})

    def rows(self) -> list[dict[str, str]]:
        """Every setting with its default, value (secrets masked), source and help."""
        plain = Settings()
        return [
            {
                "name": name,
                "default": _shown(FACTS if name == "facts_dir" else getattr(plain, name)),
                "value": _shown(getattr(self, name)),
                "source": self.sources.get(name, "default"),
                "help": about,
            }
            for name, about in HELP.items()
        ]

    def describe(self) -> str:
        """The settings as text for people."""
        return "\n".join(
            f"# {row['help']} (default: {row['default']})\n{row['name']} = {row['value']}  # {row['source']}"
            for row in self.rows()
        )


@contextmanager
def connect_url(settings: Settings) -> Iterator[str]:
    """The database to work on: the one that is set, or else the embedded server, for as long as the block."""
    if settings.database_url:
        yield settings.database_url
        return
    from loanmetrics.store.embedded import server

    with server(settings.home) as url:
        yield url


def load_policy(path: Path | None) -> Policy:
    """The policy of a TOML file; without one, the canonical defaults."""
    if path is None:
        return Policy()
    policy = Policy.from_toml(_text(path, "policy"))
    check_revisions(policy)
    return policy


def share_metrics(folder: Path) -> None:
    """Let the processes that this one forks count together in ``folder``."""
    if "prometheus_client" in sys.modules:
        raise RuntimeError("prometheus_client is imported already: it would count in each process apart")
    os.environ[METRICS] = str(folder)


def metrics_folder() -> Path | None:
    """Where this process counts together with others, if it does."""
    folder = os.environ.get(METRICS)
    return Path(folder) if folder else None


def bare_address(url: str) -> str:
    """The address of an object store, refused if it holds more than that: it is told in errors and written to disk.

    >>> bare_address("s3://lender/facts?region=eu-west-1")
    's3://lender/facts?region=eu-west-1'
    """
    parts = urlsplit(url)
    options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if ":" in parts.netloc or not options <= STORE_OPTIONS:
        hint = "credentials come from the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise UsageError("the address of the object store holds more than an address", hint)
    return url


def masked(text: str) -> str:
    """``text`` without the passwords of database URLs.

    >>> masked("postgresql://ada:s3cret@db/loans")
    'postgresql://ada:***@db/loans'
    """
    for pattern in SECRETS:
        text = pattern.sub(r"\1***", text)
    return text


def _settings(values: Mapping[str, Any]) -> Settings:
    for name, value in values.items():
        if any(CONTROL.search(text) for text in _texts(value)):
            raise UsageError(f"settings: {name} holds a control character")
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise UsageError(f"settings: {error}") from None


def _texts(value: Any) -> Iterator[str]:
    """The texts in a setting's value."""
    if isinstance(value, str | Path):
        yield str(value)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _from_file(environment: Mapping[str, str], folder: Path) -> dict[str, tuple[Any, str]]:
    named = environment.get(CONFIG)
    path = folder / (named or FILE)
    if not named and not path.exists():
        return {}
    given = parsed(_text(path, "settings"), f"settings file {path}")
    for name in given:
        if name not in HELP:
            raise unknown("setting", name, HELP)
    return {name: (_within(path.parent, name, value), str(path)) for name, value in given.items()}


def _within(folder: Path, name: str, value: Any) -> Any:
    """A path in a file means the same wherever the command is started."""
    return folder / _expanded(value) if name in PATHS and isinstance(value, str) else value


def _expanded(path: str | Path) -> Path:
    """``~`` is the user's own folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"settings: {path} names a user who is not known here") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    known = {PREFIX + name.upper(): name for name in HELP}
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX) and value}
    for variable in given:
        if variable not in known and variable not in NO_SETTINGS:
            raise unknown("environment variable", variable, [*known, CONFIG])
    return {
        name: (_listed(value) if name in LISTS else value, variable)
        for variable, value in given.items()
        if (name := known.get(variable))
    }


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path):
        return _expanded(value)
    raise TypeError(f"a setting of type {kind.__name__} cannot be {type(value).__name__}")


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "unset" if value is None else masked(str(value))


def _text(path: Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UsageError(f"the {what} file {path} is larger than {MOST_BYTES:,} bytes")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"the {what} file {path} cannot be read: {reason}") from None
