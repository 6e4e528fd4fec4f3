"""Requests over many connections kept open, from one process with one thread; what it tells is JSON.

``flat_out``: every connection asks again as soon as it is answered. ``on_time``: requests fall due by a timetable and
their times count from then, so that a server that stalls is charged for all who waited. Only to this machine.
"""

import asyncio
import json
import re
import resource
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from serving.questions import Question, Writer

LOOPBACK = "127.0.0.1"
MOST_REQUESTS = 200_000
PATIENCE, LONGEST = 60.0, 600.0
ROOM, LONGEST_HEAD = 4 << 20, 4096
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Wire(asyncio.BufferedProtocol):
    """One connection: a request goes out, its answer comes back into the same memory again and again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._room = memoryview(bytearray(ROOM))
        self._have, self._want = 0, 0
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        """Status and body."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            self._transport, _ = await loop.create_connection(lambda: self, LOOPBACK, self._port)
        self._have, self._want, self._answer = 0, 0, loop.create_future()
        self._transport.write(raw)
        return await self._answer

    def get_buffer(self, hint: int) -> memoryview:
        return self._room[self._have :]

    def buffer_updated(self, count: int) -> None:
        self._have += count
        if not self._want:
            head = bytes(self._room[: min(self._have, LONGEST_HEAD)])
            end = head.find(b"\r\n\r\n")
            if end < 0:
                return
            self._body = end + 4
            self._want = self._body + _length(head[:end])
        if self._have == self._want and self._answer and not self._answer.done():
            self._answer.set_result((int(self._room[9:12]), bytes(self._room[self._body : self._have])))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("the server closed a connection"))

    def close(self) -> None:
        if self._transport:
            self._transport.close()


@dataclass
class Told:
    """What became of the requests: seconds of each, by status how many, and what no client may see."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    stale: int = 0
    writes: int = 0
    bytes: int = 0

    def note(self, seconds: float, status: int, size: int) -> None:
        self.seconds.append(seconds)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.bytes += size


def flat_out(port: int, questions: Sequence[Question], connections: int, seconds: float) -> Told:
    """As fast as it goes."""
    return _bounded(_flat_out(port, questions, connections, seconds, MOST_REQUESTS), seconds)


def once(port: int, questions: Sequence[Question], connections: int) -> Told:
    """Every question once."""
    return _bounded(_flat_out(port, questions, connections, LONGEST, len(questions)), LONGEST)


def _bounded(asking: Coroutine[Any, Any, Told], seconds: float) -> Told:
    return asyncio.run(asyncio.wait_for(asking, seconds + PATIENCE))


async def _flat_out(
    port: int, questions: Sequence[Question], connections: int, seconds: float, most: int
) -> Told:
    told, until = Told(), time.perf_counter() + seconds
    rest = iter(questions) if most == len(questions) else cycle(questions)

    async def user() -> None:
        wire = Wire(port)
        for question in rest:
            began = time.perf_counter()
            if began >= until or len(told.seconds) >= most:
                break
            status, body = await wire.ask(question.raw)
            told.note(time.perf_counter() - began, status, len(body))
        wire.close()

    await asyncio.gather(*(user() for _ in range(connections)))
    return told


def on_time(port: int, timetable: Sequence[tuple[float, int, Question]], users: int, writer: Writer) -> Told:
    """Each request at its moment, by its user; a user asks one thing at a time. Who wrote looks at it at once."""
    return _bounded(_on_time(port, timetable, users, writer), LONGEST)


async def _on_time(
    port: int, timetable: Sequence[tuple[float, int, Question]], users: int, writer: Writer
) -> Told:
    told = Told()
    mine: list[list[tuple[float, Question]]] = [[] for _ in range(users)]
    for due, user, question in timetable:
        mine[user].append((due, question))
    began = time.perf_counter() + 0.2

    async def work(turns: list[tuple[float, Question]]) -> None:
        wire = Wire(port)
        for due, question in turns:
            await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
            if question.officer_id:
                await _write(wire, question, writer, told, began + due)
            else:
                status, body = await wire.ask(question.raw)
                told.note(time.perf_counter() - began - due, status, len(body))
        wire.close()

    await asyncio.gather(*(work(turns) for turns in mine))
    return told


async def _write(wire: Wire, question: Question, writer: Writer, told: Told, due: float) -> None:
    officer_id = question.officer_id
    status, body = await wire.ask(writer.action(question))
    told.note(time.perf_counter() - due, status, len(body))
    told.writes += 1
    if status != 200:
        return
    version = json.loads(body)["data"]["version"]
    writer.versions[officer_id] = version
    looked = time.perf_counter()
    status, body = await wire.ask(writer.look(question))
    told.note(time.perf_counter() - looked, status, len(body))
    seen = json.loads(body)["data"]["audit_info"]["version"]
    told.stale += seen < version


def ask(port: int, question: Question) -> Any:
    """The JSON of one answer."""

    async def one() -> tuple[int, bytes]:
        wire = Wire(port)
        try:
            return await asyncio.wait_for(wire.ask(question.raw), PATIENCE)
        finally:
            wire.close()

    status, body = asyncio.run(one())
    if status != 200:
        raise SystemExit(f"{question.raw.split(b' HTTP')[0].decode()} was answered with {status}")
    return json.loads(body)


def work(script: str) -> dict[str, Any]:
    """In a process of its own: what the file says to do."""
    given = json.loads(Path(script).read_text())
    questions = [Question.of(said) for said in given["questions"]]
    began, port = time.perf_counter(), given["port"]
    if given["how"] == "on_time":
        timetable = [
            (due, user, question) for (due, user), question in zip(given["times"], questions, strict=True)
        ]
        told = on_time(port, timetable, given["users"], Writer(given["versions"]))
    elif given["how"] == "once":
        told = once(port, questions, given["users"])
    else:
        told = flat_out(port, questions, given["users"], given["seconds"])
    wall, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": told.seconds,
        "wall": wall,
        "statuses": told.statuses,
        "stale": told.stale,
        "writes": told.writes,
        "bytes": told.bytes,
        "cpu": used.ru_utime + used.ru_stime,
    }


def _length(head: bytes) -> int:
    found = LENGTH.search(head)
    if not found:
        raise ValueError("an answer without a length")
    return int(found[1])
