"""Rules and board speak of metrics that the API really tells, and alert when they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import falcon.testing
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from loanmetrics.http import app
from loanmetrics.http.desk import open_desk
from loanmetrics.http.remote import Event
from loanmetrics.http.telemetry import instruments
from loanmetrics.jobs.compute import compute
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from tests.jobs.small import DAY

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian: prometheus) is not on PATH")
NAME = re.compile(r"\bloanmetrics_[a-z_]+\b(?!:)")
RECORDED = re.compile(r"\bloanmetrics:[a-z0-9_:]+")
ALERTS = {
    "CalculationJobFailed",
    "ApiErrorRateHigh",
    "CacheHitRateLow",
    "DataStale",
    "ApiDown",
    "DatabaseUnreachable",
    "ErrorBudgetBurnsFast",
    "ErrorBudgetBurnsSlowly",
}


@pytest.fixture
def scraped(small: str, home: Path) -> Iterator[str]:
    """What a server with figures tells that has been asked this and that."""
    settings = Settings(database_url=small, home=home, threads=1)
    compute(settings, DAY, Policy())
    desk = open_desk(settings, small)
    client = falcon.testing.TestClient(app.make(desk))
    for path in ("/healthz", "/readyz", "/metrics", "/nowhere"):
        client.simulate_get(path)
    instruments().request("/metrics/officers", "GET", 503, 0.1)
    for event in get_args(Event):
        instruments().cache_event(event)
    yield client.simulate_get("/metrics").text
    desk.close()


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def board() -> dict[str, Any]:
    told: dict[str, Any] = json.loads((FOLDER / "grafana.json").read_text())
    return told


def asked() -> list[str]:
    """Every expression of rules and board."""
    panels = [target["expr"] for panel in board()["panels"] for target in panel["targets"]]
    variables = [found["definition"] for found in board()["templating"]["list"] if "definition" in found]
    return [*(rule["expr"] for rule in rules()), *panels, *variables]


def test_every_metric_that_is_asked_for_is_told(scraped: str) -> None:
    told = {sample.name for family in text_string_to_metric_families(scraped) for sample in family.samples}
    wanted = {name for expression in asked() for name in NAME.findall(expression)}
    assert len(wanted) > 10
    assert wanted - told == set()


def test_every_label_that_is_asked_for_has_such_values(scraped: str) -> None:
    told: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(scraped):
        for sample in family.samples:
            for name, value in sample.labels.items():
                told.setdefault(name, set()).add(value)
    patterns = re.findall(r'(route|event|status)[!=]~?"([^"$]+)"', " ".join(asked()))
    assert patterns
    for name, pattern in patterns:
        for one in pattern.split("|"):
            assert any(re.fullmatch(one, value) for value in told[name]), (name, one)


def test_every_recorded_series_is_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for expression in asked() for name in RECORDED.findall(expression)} == recorded


def test_the_alerts_are_these() -> None:
    assert {rule["alert"] for rule in rules() if "alert" in rule} == ALERTS
    tested = yaml.safe_load((FOLDER / "tests.yml").read_text())["tests"]
    expected = [alert for it in tested for alert in it["alert_rule_test"] if alert.get("exp_alerts")]
    fired = {alert["alertname"] for alert in expected}
    assert fired == ALERTS


def test_panels_stand_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board()["panels"]:
        at = panel["gridPos"]
        place = {(at["x"] + right, at["y"] + down) for right in range(at["w"]) for down in range(at["h"])}
        assert not place & taken and at["x"] + at["w"] <= 24
        taken |= place
    assert len({panel["id"] for panel in board()["panels"]}) == len(board()["panels"])


@needs_promtool
@pytest.mark.parametrize(
    "words", ["check rules rules.yml", "test rules tests.yml", "check config prometheus.yml"]
)
def test_promtool_finds_nothing_wrong(words: str) -> None:
    assert PROMTOOL
    done = subprocess.run([PROMTOOL, *words.split()], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
