"""What a route is. The one table of them is ``table.ROUTES``: dispatch, roles, OpenAPI and tests derive from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from loanmetrics.http.fields import Fields
from loanmetrics.http.parameters import Nothing
from loanmetrics.jobs.listing import Listing

if TYPE_CHECKING:
    from loanmetrics.export import About
    from loanmetrics.export.sheet import Sheet
    from loanmetrics.http.desk import Desk

Role = Literal["public", "viewer", "auditor", "admin"]
Method = Literal["GET", "PUT", "POST"]
ROLES: tuple[Role, ...] = ("public", "viewer", "auditor", "admin")


def role_of(name: str) -> Role:
    """A role by its name."""
    return next(role for role in ROLES if role == name)


@dataclass(frozen=True, slots=True)
class Member:
    """Who asks; nobody is ``None`` with the role ``public``."""

    member_id: int | None
    role: Role
    name: str = ""

    def may(self, role: Role) -> bool:
        """Whether this member's role suffices."""
        return ROLES.index(self.role) >= ROLES.index(role)


NOBODY = Member(None, "public")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read and allowed."""

    desk: "Desk"
    route: "Route"
    member: Member
    query: Any
    body: Any
    path: Mapping[str, str]
    headers: Mapping[str, str]
    address: str
    cookies: Mapping[str, str] = field(default_factory=dict)

    def cookie(self, name: str) -> str:
        """A cookie the browser sent, empty if it sent none."""
        return self.cookies.get(name, "")


@dataclass(frozen=True, slots=True)
class Answer:
    """One object for the client. ``officers``: whose audits it shows; None: it depends on everybody's."""

    data: Any
    meta: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    officers: Sequence[str] | None = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. ``audited``: the answer shows audit fields; ``cached``: the same until the next run.

    ``warm``: made ready when a run was published. ``conditional``: takes If-Match; ``idempotent``: takes a key.
    ``sheet``: the same on paper, for who wants a PDF.
    """

    method: Method
    path: str
    name: str
    role: Role
    summary: str
    handler: Callable[[Asked], Answer | Listing]
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    data: Any = None
    fields: Fields = ()
    sheet: Callable[[Asked], tuple["Sheet", "About"]] | None = None
    cached: bool = True
    audited: bool = False
    statuses: tuple[int, ...] = ()
    conditional: bool = False
    idempotent: bool = False
    warm: bool = False

    @property
    def is_list(self) -> bool:
        """Whether it answers with rows."""
        return bool(self.fields)
