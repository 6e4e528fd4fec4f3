"""People at work by a timetable, from one process with one thread; what fails is noted and not asked again.

Times count from when a request fell due. A connection that the server has said it closes, or has closed while nothing
was under way, is replaced, as every client does; one that ends while an answer is awaited is a failure.
"""

import asyncio
import json
import re
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from serving.load import Wire
from serving.questions import USERS, Choices, Question, Writer, timetable

from soaking.folding import failed

LONGEST_ANSWER = 30.0
LONGEST_END = 120.0
NO_ANSWER = 0
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
Turns = asyncio.Queue[tuple[float, Question] | None]


class Line(Wire):
    """A connection that knows when it is over."""

    @property
    def is_over(self) -> bool:
        if self._transport is None:
            return False
        return self._transport.is_closing() or bool(CLOSE.search(bytes(self._room[: self._body])))


@dataclass
class Record:
    """Of each request: when it fell due, seconds until its answer, the status; what was asked where that failed.

    Writes by what is known of them.
    """

    due: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    failed: list[tuple[float, int, str, str]] = field(default_factory=list)
    written: int = 0
    unknown: int = 0
    stale: int = 0


@dataclass
class Person:
    """Asks one thing at a time."""

    port: int
    began: float
    record: Record
    writer: Writer
    line: Line | None = None

    async def work(self, turns: Turns) -> None:
        while turn := await turns.get():
            due, question = turn
            if question.officer_id:
                await self._write(due, question)
            else:
                await self._ask(due, question.raw)
        self._hang_up()

    async def _ask(self, due: float, raw: bytes) -> tuple[int, bytes]:
        """Status and body; no status without an answer."""
        if self.line and self.line.is_over:
            self._hang_up()
        self.line, why = self.line or Line(self.port), ""
        try:
            status, body = await asyncio.wait_for(self.line.ask(raw), LONGEST_ANSWER)
        except (OSError, ValueError, TimeoutError) as error:
            self._hang_up()
            status, body, why = NO_ANSWER, b"", f"{type(error).__name__}: {error}"
        self.record.due.append(round(due, 3))
        self.record.seconds.append(round(time.monotonic() - self.began - due, 5))
        self.record.statuses.append(status)
        if failed(status):
            request = raw.split(b" HTTP", 1)[0].decode()
            self.record.failed.append((round(due, 3), status, request, why))
        return status, body

    async def _write(self, due: float, question: Question) -> None:
        """An audit; then its writer looks at it, and learns the version that the next write has to name."""
        status, body = await self._ask(due, self.writer.action(question))
        self.record.written += status == 200
        self.record.unknown += status == NO_ANSWER
        looked, seen = await self._ask(time.monotonic() - self.began, self.writer.look(question))
        if looked == 200:
            version = json.loads(seen)["data"]["audit_info"]["version"]
            self.record.stale += status == 200 and version < json.loads(body)["data"]["version"]
            self.writer.versions[question.officer_id] = version

    def _hang_up(self) -> None:
        if self.line:
            self.line.close()
        self.line = None


def work(script: str) -> dict[str, Any]:
    """In a process of its own: what the file says to do."""
    given = json.loads(Path(script).read_text())
    record = asyncio.run(asyncio.wait_for(_ask_all(given), given["seconds"] + LONGEST_END))
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {**vars(record), "cpu": used.ru_utime + used.ru_stime}


async def _ask_all(given: Mapping[str, Any]) -> Record:
    began, record, writer = given["began"], Record(), Writer(given["versions"])
    queues: list[Turns] = [asyncio.Queue() for _ in range(USERS)]
    people = [
        asyncio.create_task(Person(given["port"], began, record, writer).work(turns)) for turns in queues
    ]
    choices = msgspec.convert(given["choices"], Choices)
    for due, user, question in timetable(
        choices, given["viewers"], given["auditors"], given["rate"], given["seconds"]
    ):
        await asyncio.sleep(max(0.0, began + due - time.monotonic()))
        queues[user].put_nowait((due, question))
    for turns in queues:
        turns.put_nowait(None)
    await asyncio.gather(*people)
    return record
