"""gunicorn around the app: processes of threads, reloaded one after another without a failed request."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from loanmetrics.errors import StoreError
from loanmetrics.http import logs
from loanmetrics.settings import Settings, share_metrics
from loanmetrics.store import redis

KEY_BYTES = 32
OPTIONS = {
    "worker_class": "loanmetrics.http.worker.PunctualWorker",
    # Each worker loads the app by itself: Polars' threads do not survive a fork.
    "preload_app": False,
    "control_socket_disable": True,
    "timeout": 60,
    "graceful_timeout": 30,
    "keepalive": 75,  # longer than what stands in front keeps idle connections, so that it is never cut off
    "limit_request_line": 8190,
    "limit_request_fields": 64,
    "limit_request_field_size": 8190,
    "accesslog": None,
    "errorlog": "-",
    "proc_name": "loanmetrics",
}

App = Callable[..., Any]
Create = Callable[[Settings, str], App]
Ready = Callable[[Sequence[str]], None]


def nothing(addresses: Sequence[str]) -> None:
    """Nobody is to be told."""


def serve(settings: Settings, url: str, create: Create, ready: Ready = nothing) -> None:
    """Serve until told to stop; ``create`` makes the app of each worker, in the worker; ``ready``: once it listens.

    SIGHUP starts new workers before it ends the old ones, SIGTERM lets requests under way finish.
    """
    if settings.redis_url:
        redis.check(settings.redis_url)
    logs.configure(secrets.token_bytes(KEY_BYTES))
    master = os.getpid()
    try:
        Server(settings, url, create, ready).run()
    except SystemExit as ended:
        if ended.code and os.getpid() == master:
            raise StoreError("the server could not go on", "its log says why") from None
        raise


class Server(BaseApplication):  # type: ignore[misc]
    """The one application of a gunicorn."""

    def __init__(self, settings: Settings, url: str, create: Create, ready: Ready) -> None:
        self._settings, self._url, self._create, self._ready = settings, url, create, ready
        self._metrics = metrics_folder(settings)
        super().__init__(prog="loanmetrics serve")

    def load_config(self) -> None:
        """Also called when reloading: nothing here may fail then."""
        settings = self._settings
        ours = {"bind": settings.bind, "workers": settings.workers, "threads": settings.threads}
        hooks = {"when_ready": self._when_ready, "child_exit": self._child_exit}
        for name, value in {**OPTIONS, **ours, **hooks, "logger_class": Log}.items():
            self.cfg.set(name, value)

    def load(self) -> App:
        """In a worker."""
        return self._create(self._settings, self._url)

    def _when_ready(self, arbiter: Any) -> None:
        """The address is ours, so nobody counts there any more; no worker does yet."""
        shutil.rmtree(self._metrics, ignore_errors=True)
        self._metrics.mkdir(parents=True, mode=0o700)
        share_metrics(self._metrics)
        self._ready([str(listener) for listener in arbiter.LISTENERS])

    def _child_exit(self, arbiter: Any, worker: Any) -> None:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid, str(self._metrics))  # type: ignore[no-untyped-call]


class Log(Logger):  # type: ignore[misc]
    """gunicorn's own lines, in the same form as all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers, log.propagate = [], True


def metrics_folder(settings: Settings) -> Path:
    """Where the workers of one address count; a killed server's counts are wiped by the next one."""
    return settings.home / "metrics" / hashlib.sha256(settings.bind.encode()).hexdigest()[:12]
