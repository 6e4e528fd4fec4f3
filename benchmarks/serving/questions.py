"""What is asked: requests as bytes, drawn so that every run asks the same."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from urllib.parse import quote_plus

BASE = "/api/v1"
SEED = 20260630
RATE, USERS, SECONDS = 200, 100, 30
WRITE_EVERY = 200  # one request in so many: 0.5 %
REGION, BRANCH, OFFICER = "region", "branch", "officer_id"


@dataclass(frozen=True)
class Question:
    """One request; with an officer it is a write about him, made when it is sent."""

    raw: bytes
    token: str = ""
    officer_id: str = ""

    def told(self) -> list[str]:
        return [self.raw.decode(), self.token, self.officer_id]

    @classmethod
    def of(cls, told: Sequence[str]) -> "Question":
        return cls(told[0].encode(), *told[1:])


@dataclass
class Writer:
    """Writes about officers, each naming the version its writer saw last."""

    versions: dict[str, int]
    sent: int = 0

    def action(self, question: Question) -> bytes:
        self.sent += 1
        body = json.dumps({"action_type": "Call", "action_notes": "asked for the missing first payments"})
        key = f"bench-{self.versions[question.officer_id]}-{question.officer_id}-{self.sent:06}"
        headers = {
            "If-Match": f'"{self.versions[question.officer_id]}"',
            "Idempotency-Key": key,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        path = f"{BASE}/audit/officers/{question.officer_id}/actions"
        return _request("POST", path, question.token, headers) + body.encode()

    def look(self, question: Question) -> bytes:
        return get(f"/metrics/officers/{question.officer_id}", question.token).raw


@dataclass(frozen=True)
class Choices:
    """What the lists of this lender can be narrowed by."""

    regions: Sequence[str]
    branches: Sequence[str]
    officers: Sequence[str]
    day: date


def get(path: str, token: str, zipped: bool = False) -> Question:
    return Question(_request("GET", BASE + path, token, {"Accept-Encoding": "gzip"} if zipped else {}), token)


def lists(choices: Choices) -> list[str]:
    """Lists of officers as many people would look at them: pages, orders, a region, a branch, a band."""
    path = "/metrics/officers"
    return [
        path,
        *(f"{path}?page={page}" for page in range(2, 6)),
        *(f"{path}?sort={sort}" for sort in ("risk_score", "-portfolio_total", "-overdue_15d", "rank")),
        *(f"{path}?{REGION}={quote_plus(name)}&sort=risk_score" for name in choices.regions),
        *(f"{path}?{BRANCH}={quote_plus(name)}" for name in choices.branches[:20]),
        *(f"{path}?risk_band={quote_plus(band)}" for band in ("Red", "Amber")),
    ]


def drilldowns(choices: Choices) -> list[str]:
    found = []
    for path in ("/loans/fimr-drilldown", "/loans/early-indicators-drilldown"):
        found += [path, f"{path}?sort=-outstanding_balance"]
        found += [f"{path}?{BRANCH}={quote_plus(name)}" for name in choices.branches[:15]]
        found += [f"{path}?{OFFICER}={quote_plus(name)}" for name in choices.officers[:15]]
    return found


def branches(choices: Choices) -> list[str]:
    path = "/metrics/branches"
    by_region = (f"{path}?{REGION}={quote_plus(name)}" for name in choices.regions)
    return [path, f"{path}?sort=-portfolio_total", f"{path}?sort=-par15_ratio", *by_region]


def mixed(choices: Choices) -> dict[str, tuple[float, list[str]]]:
    """What people read: a share of all requests, and its questions, the popular ones first."""
    return {
        "lists": (0.40, lists(choices)),
        "officers": (0.20, [f"/metrics/officers/{name}" for name in choices.officers]),
        "drilldowns": (0.20, drilldowns(choices)),
        "branches": (0.10, branches(choices)),
        "options": (0.05, ["/filters/options"]),
        "team": (0.05, ["/audit/team-members"]),
    }


def timetable(
    choices: Choices,
    readers: Sequence[str],
    writers: Sequence[str],
    rate: float = RATE,
    seconds: float = SECONDS,
) -> Iterator[tuple[float, int, Question]]:
    """When, who, what: arrivals at random, the k-th most popular question of a kind asked 1/k as often as the first."""
    dice, kinds = random.Random(SEED), list(mixed(choices).values())
    shares = [share for share, _ in kinds]
    weights = [list(accumulate(1 / place for place in range(1, len(asked) + 1))) for _, asked in kinds]
    tokens, due = [*readers, *writers], 0.0
    for number in range(1, round(rate * seconds) + 1):
        due += dice.expovariate(rate)
        user = dice.randrange(USERS)
        token = tokens[user % len(tokens)]
        if number % WRITE_EVERY == 0:
            writer = dice.randrange(len(writers))
            officer_id = choices.officers[number // WRITE_EVERY % len(choices.officers)]
            yield due, len(readers) + writer, Question(b"", writers[writer], officer_id)
            continue
        kind = dice.choices(range(len(kinds)), shares)[0]
        [path] = dice.choices(kinds[kind][1], cum_weights=weights[kind])
        yield due, user, get(path, token, zipped=True)


def warming(choices: Choices, tokens: Sequence[str]) -> list[Question]:
    """Every question of the mix, once for each of the tokens."""
    return [
        get(path, token, zipped=True)
        for _, asked in mixed(choices).values()
        for path in asked
        for token in tokens
    ]


def peer_lists(choices: Choices, token: str) -> list[Question]:
    """Lists that the peer answers too."""
    path = "/metrics/officers"
    paths = [
        *(f"{path}?page={page}" for page in range(1, 11)),
        *(f"{path}?sort=risk_score&page={page}" for page in range(1, 6)),
        *(f"{path}?{REGION}={quote_plus(name)}" for name in choices.regions[:5]),
    ]
    return [get(each, token) for each in paths]


def cold_lists(choices: Choices, token: str) -> list[Question]:
    """Lists none of which is asked twice: of the newest day, and of days that nobody looked at before."""
    path = "/metrics/officers"
    newest = [
        f"{path}?sort={sort}&page={page}&per_page=40"
        for sort in ("frr", "-ayr", "dqi", "-fimr", "porr")
        for page in range(1, 21)
    ]
    days = [choices.day - timedelta(back) for back in range(30, 80)]
    past = [f"{path}?date={day}&sort=-risk_score" for day in days]
    past += [f"/metrics/branches?date={day - timedelta(60)}" for day in days]
    asked = [get(each, token, zipped=True) for each in (*newest, *past)]
    random.Random(SEED).shuffle(asked)
    return asked


def _request(method: str, path: str, token: str, headers: Mapping[str, str]) -> bytes:
    told = {"Host": "localhost", "Authorization": f"Bearer {token}", **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
