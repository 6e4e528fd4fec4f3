"""What monitors see: requests by route template, the cache, the runs. Summed over all workers of one server.

Labels hold route templates, methods and statuses, never a path, a query or anything personal.
"""

import platform
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import prometheus_client as prometheus
from prometheus_client import multiprocess
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

import loanmetrics
from loanmetrics.http import logs
from loanmetrics.http.follow import Fresh
from loanmetrics.http.remote import Event
from loanmetrics.settings import metrics_folder
from loanmetrics.store.freshness import Freshness

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "OPTIONS"))
CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST
SCRAPE_KEPT = 5.0


class Instruments:
    """The counters of one process; with a ``folder``, scraped together with those of all processes that share it."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._registry = prometheus.CollectorRegistry()
        self._seconds = prometheus.Histogram(
            "loanmetrics_http_request_duration_seconds",
            "From the request's first line to the answer, by route template and class of status.",
            ("route", "method", "status"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._requests = prometheus.Counter(
            "loanmetrics_http_requests",
            "Answers, by route template and status.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._errors = prometheus.Counter(
            "loanmetrics_http_errors",
            "Answers of 500 and above, by route template.",
            ("route", "method"),
            registry=self._registry,
        )
        self._cache = prometheus.Counter(
            "loanmetrics_cache_events",
            "What looking for a finished answer came to: hit_local, hit_redis, miss; and error, of Redis.",
            ("event",),
            registry=self._registry,
        )
        workers = prometheus.Gauge(
            "loanmetrics_http_workers",
            "Processes that serve.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        workers.set(1)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One answer."""
        named = method if method in METHODS else "other"
        self._seconds.labels(route, named, f"{status // 100}xx").observe(seconds)
        self._requests.labels(route, named, str(status)).inc()
        if status >= 500:
            self._errors.labels(route, named).inc()

    def cache_event(self, event: Event) -> None:
        """One look into the cache."""
        self._cache.labels(event).inc()

    def render(self, read: Callable[[], Freshness]) -> bytes:
        """Everything, in Prometheus' text format; the runs' figures are missing while the database is away."""
        registry = self._registry
        if self._folder:
            registry = prometheus.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        gathered = prometheus.CollectorRegistry()
        for collector in (_Forward(registry), _Runs(read)):
            gathered.register(collector)
        return prometheus.generate_latest(gathered)


_making = threading.Lock()
_made: list[Instruments] = []


def instruments() -> Instruments:
    """Those of this process; not to be called before a worker is forked."""
    if not _made:
        with _making:  # two sets of instruments would overwrite each other's counts
            if not _made:
                _made.append(Instruments(metrics_folder()))
    return _made[0]


def observe(
    *, request_id: str, route: str, method: str, status: int, seconds: float, member_id: int | None = None
) -> None:
    """Count an answer and write its line into the log."""
    instruments().request(route, method, status, seconds)
    logs.request(request_id, route, method, status, seconds, member_id)


def count(event: Event) -> None:
    """Count what became of a look into the cache."""
    instruments().cache_event(event)


class Scrape:
    """The body of ``/metrics``. The log is read at most every five seconds, however many monitors scrape."""

    def __init__(self, read: Callable[[], Freshness]) -> None:
        self._read = Fresh(read, keep=SCRAPE_KEPT)

    def __call__(self) -> bytes:
        return instruments().render(self._read)


class _Forward(Collector):
    """All that another registry gathers."""

    def __init__(self, registry: prometheus.CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Any]:
        yield from self._registry.collect()


class _Runs(Collector):
    """The newest run, as the log tells it."""

    def __init__(self, read: Callable[[], Freshness]) -> None:
        self._read = read

    def describe(self) -> list[Any]:
        """Nothing, so that registering does not ask the database."""
        return []

    def collect(self) -> Iterator[Any]:
        build = InfoMetricFamily("loanmetrics_build", "The program that serves.")
        build.add_metric([], {"version": loanmetrics.__version__, "python": platform.python_version()})
        yield build
        try:
            seen = self._read()
        except Exception:
            # Whatever kept the database from answering, monitors must still learn that it did.
            yield _gauge("loanmetrics_store_up", "Whether the database answers.", 0)
            return
        yield _gauge("loanmetrics_store_up", "Whether the database answers.", 1)
        yield from _of_runs(seen)


def _of_runs(seen: Freshness) -> Iterator[GaugeMetricFamily]:
    told = {
        "loanmetrics_data_age_seconds": ("Since the newest figures were published.", seen.age),
        "loanmetrics_run_duration_seconds": ("How long the newest completed run took.", seen.seconds),
        "loanmetrics_run_success": ("Whether the last run that ended completed.", seen.succeeded),
        "loanmetrics_loans_processed": ("Loans that the newest completed run read.", seen.loans),
        "loanmetrics_officers_tracked": ("Officers with figures of the newest run.", seen.officers),
    }
    for name, (about, value) in told.items():
        if value is not None:
            yield _gauge(name, about, float(value))


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=value)
