from pathlib import Path

import msgspec
import pytest

from loanmetrics.errors import UsageError
from loanmetrics.policy import Policy
from loanmetrics.settings import HELP, Settings, connect_url, load_policy, masked

HOME = {"XDG_DATA_HOME": "/data"}


def load(folder: Path, **variables: str) -> Settings:
    return Settings.load(HOME | variables, folder)


def test_without_any_source_every_setting_has_its_default(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.database_url, settings.policy_file) == (None, None)
    assert (settings.shard_loans, settings.readers) == (200_000, 2)
    assert settings.facts_dir == Path("/data/loanmetrics/facts")


def test_home_falls_back_to_the_users_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/users/ada")
    assert Settings.load({}, tmp_path).home == Path("/users/ada/.local/share/loanmetrics")


def test_a_relative_home_stays_where_it_is_when_other_settings_change() -> None:
    given = Settings(home=Path(".demo"))
    changed = msgspec.structs.replace(given, workers=3)
    assert (changed.home, changed.facts_dir) == (Path.cwd() / ".demo", Path.cwd() / ".demo" / "facts")
    assert (given.home, given.facts_dir) == (changed.home, changed.facts_dir)


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "loanmetrics.toml").write_text("readers = 3\nshard_loans = 5000\n")
    settings = load(tmp_path, LOANMETRICS_READERS="4")
    assert (settings.readers, settings.shard_loans) == (4, 5000)


def test_an_option_wins_over_the_environment(tmp_path: Path) -> None:
    variable = {"LOANMETRICS_SCHEDULER": "tcp://one:8786"}
    settings = Settings.load(HOME | variable, tmp_path, scheduler="tls://two:8786", readers=None)
    assert (settings.scheduler, settings.readers) == ("tls://two:8786", 2)
    assert "scheduler = tls://two:8786  # --scheduler" in settings.describe()


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    assert load(tmp_path, LOANMETRICS_DATABASE_URL="").database_url is None


def test_origins_are_a_list_in_the_file_and_separated_by_commas_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "loanmetrics.toml").write_text('cors_origins = ["https://a.example"]\n')
    assert load(tmp_path).cors_origins == ("https://a.example",)
    both = load(tmp_path, LOANMETRICS_CORS_ORIGINS="https://b.example, http://localhost:3000,")
    assert both.cors_origins == ("https://b.example", "http://localhost:3000")
    assert "cors_origins = https://b.example, http://localhost:3000" in both.describe()
    assert "cors_origins = none" in Settings().describe()


@pytest.mark.parametrize("bind", ["127.0.0.1:8000", "[::1]:80", "api.example:443", "unix:/run/lm.sock"])
def test_serve_listens_on_an_address_or_a_socket(tmp_path: Path, bind: str) -> None:
    assert load(tmp_path, LOANMETRICS_BIND=bind).bind == bind


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hush@cache:6379/0",
        "rediss://ada:hush@cache",
        "redis+sentinel://:hush@one:26379,two:26379/figures",
        "unix:///run/valkey.sock?password=hush",
    ],
)
def test_a_cache_is_named_by_its_url_and_its_password_is_masked(tmp_path: Path, url: str) -> None:
    settings = load(tmp_path, LOANMETRICS_REDIS_URL=url)
    assert settings.redis_url == url
    assert "hush" not in settings.describe()


@pytest.mark.parametrize(
    "url",
    [
        "s3://lender/facts?region=eu-west-1",
        "s3://lender?endpoint_override=minio.example:9000&scheme=https",
        "gs://lender/facts",
        "abfs://lender@account.dfs.core.windows.net/facts",
        "file:///mnt/facts",
    ],
)
def test_facts_may_be_shared_by_an_object_store(tmp_path: Path, url: str) -> None:
    settings = load(tmp_path, LOANMETRICS_FACTS_URL=url)
    assert settings.facts_url == url
    assert f"facts_url = {url}  # LOANMETRICS_FACTS_URL" in settings.describe()


@pytest.mark.parametrize(
    "url",
    [
        "s3://ada:hush@lender/facts",
        "abfs://lender:hush@account/facts",
        "s3://lender/facts?region=x&secret_key=hush",
    ],
)
def test_an_object_store_with_a_secret_in_its_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="AWS_ACCESS_KEY_ID") as error:
        load(tmp_path, LOANMETRICS_FACTS_URL=url)
    assert "hush" not in str(error.value)


def test_paths_in_a_file_start_at_the_file(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "lender.toml"
    file.parent.mkdir()
    file.write_text('home = "state"\npolicy_file = "policy.toml"\n')
    settings = load(tmp_path, LOANMETRICS_CONFIG=str(file))
    assert settings.home == file.parent / "state"
    assert settings.facts_dir == file.parent / "state" / "facts"
    assert settings.policy_file == file.parent / "policy.toml"


def test_every_setting_is_described_with_its_source(tmp_path: Path) -> None:
    (tmp_path / "loanmetrics.toml").write_text("readers = 3\n")
    settings = load(tmp_path, LOANMETRICS_DATABASE_URL="postgresql://ada:hush@db/loans")
    rows = {row["name"]: row for row in settings.rows()}
    assert set(rows) == set(Settings.__struct_fields__) - {"sources"} == set(HELP)
    assert rows["readers"]["value"] == "3"
    assert rows["readers"]["source"] == str(tmp_path / "loanmetrics.toml")
    assert rows["shard_loans"]["source"] == "default"
    assert rows["database_url"]["source"] == "LOANMETRICS_DATABASE_URL"
    assert "hush" not in settings.describe()


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ada:hush@db/loans",
        "postgresql://ada:hu@sh@db:5432/loans?sslmode=verify-full",
        "postgresql:///loans?host=/run/pg&user=ada&password=hush",
        "host=db user=ada password=hush dbname=loans",
        r"host=db password='hu\' hush' dbname=loans",
    ],
)
def test_passwords_are_masked(text: str) -> None:
    assert "sh" not in masked(text).replace("sslmode", "")
    assert "loans" in masked(text)


def test_a_database_that_is_set_is_used_as_it_is() -> None:
    with connect_url(Settings(database_url="postgresql:///x", home=Path("/nowhere"))) as url:
        assert url == "postgresql:///x"


def test_a_policy_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("roll_days = 14\n")
    assert load_policy(file) == Policy(roll_days=14)
    assert load_policy(None) == Policy()


def test_a_missing_policy_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"policy\.toml cannot be read"):
        load_policy(tmp_path / "policy.toml")
