"""Where the work on the shards of a book is done: threads of this process, or the workers of a Dask cluster."""

import asyncio
import logging
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import loanmetrics
from loanmetrics.errors import StoreError, UsageError
from loanmetrics.settings import Settings

if TYPE_CHECKING:
    from distributed import Client

# Seconds in which a scheduler has to answer, and to name a worker.
PATIENCE: Final = 5
# How often a task that fails on a worker is tried again; one whose worker dies is, whatever this says.
RETRIES: Final = 2
LIBRARIES: Final = ("polars", "numpy")


@contextmanager
def executor(settings: Settings, folder: Path) -> Iterator[Executor]:
    """Threads of this process, or the workers of the scheduler that is set, which must see the facts ``folder``.

    Results come in the order of the shards wherever they were made, so figures are the same to the bit.
    """
    if settings.scheduler is None:
        with ThreadPoolExecutor(settings.readers) as threads:
            yield threads
    else:
        with _cluster(settings.scheduler, folder) as workers:
            yield workers


def ready(settings: Settings) -> None:
    """Fail now rather than after hours of reading, if the scheduler that is set does not answer."""
    if settings.scheduler is not None:
        _answers(settings.scheduler)


@contextmanager
def _cluster(address: str, folder: Path) -> Iterator[Executor]:
    """A scheduler's workers, once they are known to run this program and to see its facts."""
    _answers(address)
    import dask
    from distributed import CancelledError, Client, KilledWorker
    from distributed.scheduler import NoWorkerError

    _hush()
    # A book of many shards makes a large graph, and rightly so.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"}):
        client = Client(address, timeout=PATIENCE, set_as_default=False)
        try:
            _fit(client, address, folder)
            # Tasks are told apart by number: to compare what they read would cost more than it could save.
            yield client.get_executor(pure=False, retries=RETRIES)
        except KilledWorker:
            raise StoreError(
                f"the same shard ended several workers of {address}",
                "give each more memory, or make shards smaller: LOANMETRICS_SHARD_LOANS",
            ) from None
        except NoWorkerError:
            raise StoreError(f"all workers of {address} were lost", f"dask worker {address}") from None
        except CancelledError:
            raise StoreError(f"the scheduler {address} was lost", "start it and run again") from None
        finally:
            client.close()


def _answers(address: str) -> None:
    """A client would wait for ever on something that listens but is no scheduler, so who is there is tried first."""
    try:
        asyncio.run(asyncio.wait_for(_greet(address), PATIENCE))
    except ImportError:
        hint = "pip install 'loanmetrics[distributed]'"
        raise UsageError("a scheduler needs the distributed package", hint) from None
    except OSError:
        raise StoreError(f"the scheduler {address} does not answer", "dask scheduler") from None
    except TypeError:
        hint = "set distributed.comm.tls in Dask's configuration"
        raise UsageError(f"{address} needs certificates", hint) from None


async def _greet(address: str) -> None:
    from distributed import Security
    from distributed.comm.core import connect

    peer = await connect(address, timeout=PATIENCE, **Security().get_connection_args("client"))
    await peer.close()


def _fit(client: "Client", address: str, folder: Path) -> None:
    """Refuse workers that would compute otherwise, or from nothing."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise StoreError(f"the scheduler {address} has no workers", f"dask worker {address}") from None
    own = releases()
    for place, found in {"the scheduler": client.run_on_scheduler(releases), **client.run(releases)}.items():
        if found != own:
            raise StoreError(f"{place} runs {_told(found)}", f"install what runs here, {_told(own)}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="seen-") as token:
        for place, shared in client.run(shares, Path(token.name)).items():
            if not shared:
                raise StoreError(
                    f"worker {place} cannot read and write {folder}",
                    "put LOANMETRICS_FACTS_DIR on a shared file system, and run workers as the user of the runs",
                )


def _hush() -> None:
    """What Dask has to say to its log comes up as one error here."""
    for name in logging.root.manager.loggerDict:
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


def releases() -> dict[str, str]:
    """What figures depend on, beside the facts: the program and the libraries that compute."""
    return {"loanmetrics": loanmetrics.__version__, **{name: version(name) for name in LIBRARIES}}


def shares(path: Path) -> bool:
    """Whether a file is here, to be written to."""
    return path.is_file() and os.access(path, os.W_OK)


def _told(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {release}" for name, release in found.items())
