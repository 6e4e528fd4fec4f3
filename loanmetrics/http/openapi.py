"""OpenAPI 3.1, from the one table of routes."""

import re
from http import HTTPStatus
from typing import Any, get_type_hints

import msgspec

import loanmetrics
from loanmetrics.http import fields, problems
from loanmetrics.http.forms import media
from loanmetrics.http.parameters import Cursor, Nothing
from loanmetrics.http.routes import Route

REF = "#/components/schemas/{name}"
META = {
    "total": {"type": "integer", "minimum": 0, "description": "Rows of the whole filtered list"},
    "page": {"type": "integer", "minimum": 1},
    "per_page": {"type": "integer", "minimum": 1},
    "total_pages": {"type": "integer", "minimum": 0},
    "calculation_date": {"type": "string", "format": "date", "description": "The day the figures are of"},
    "calculated_at": {"type": "string", "format": "date-time"},
    "run_id": {"type": "string", "description": "The run the figures come from"},
    "published": {
        "type": "boolean",
        "description": "False for a past day that no run published: computed from the newest facts",
    },
    "known_at": {"type": "string", "description": "The run whose facts tell the loans"},
    "next_cursor": {"type": ["string", "null"], "description": "Where the next page begins"},
}


def document(routes: tuple[Route, ...], base: str) -> bytes:
    """The description as JSON."""
    structs = [struct for route in routes for struct in _structs(route)]
    _, components = msgspec.json.schema_components(structs, ref_template=REF)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(base + route.path, {})[route.method.lower()] = _operation(route)
    described = {
        "openapi": "3.1.0",
        "info": {
            "title": "loanmetrics",
            "version": loanmetrics.__version__,
            "description": "Portfolio-quality metrics per officer and branch, on any day, and the audits of officers.",
        },
        "paths": paths,
        "components": {
            "schemas": {**components, **problems.schema()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }
    return msgspec.json.encode(described, order="sorted")


def _structs(route: Route) -> list[Any]:
    return [struct for struct in (route.body, route.data) if struct is not None]


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.path.split("/")[1]],
        "parameters": [*_path(route), *_query(route), *_headers(route)],
        "responses": _responses(route),
        "security": [] if route.role == "public" else [{"token": []}],
        "x-role": route.role,
    }
    if route.body:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(route.body)}},
        }
    return made


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=REF)
    return dict(schema)


def _path(route: Route) -> list[dict[str, Any]]:
    text = {"type": "string", "minLength": 1, "maxLength": 200}
    return [
        {"name": name, "in": "path", "required": True, "schema": text}
        for name in re.findall(r"{(\w+)}", route.path)
    ]


def _query(route: Route) -> list[dict[str, Any]]:
    if route.query is Nothing:
        return []
    _, components = msgspec.json.schema_components([route.query])
    properties = components[route.query.__name__]["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": _plain(name, properties[name], route)}
        for name in get_type_hints(route.query)
    ]


def _plain(name: str, schema: dict[str, Any], route: Route) -> dict[str, Any]:
    """A parameter is left out, never null."""
    kept = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    said = {**(kept[0] if kept else schema)}
    said.pop("default", None)
    if "enum" in said:
        said["enum"] = [value for value in said["enum"] if value is not None]
    if name in ("sort", "fields"):
        known = [field.name for field in route.fields if name == "fields" or field.sortable]
        falling = "-?" if name == "sort" else ""
        one = f"{falling}({'|'.join(known)})"
        return {"type": "string", "pattern": f"^{one}(,{one})*$", "maxLength": said["maxLength"]}
    return {**said, "description": "from meta.next_cursor"} if name == "cursor" else said


def _headers(route: Route) -> list[dict[str, Any]]:
    made = []
    if route.conditional:
        made.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "description": "The officer's audit version, as audit_info.version or the last ETag tells it",
                "schema": {"type": "string", "pattern": '^"[0-9]{1,18}"$'},
            }
        )
    if route.idempotent:
        made.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "The same key gives the same answer, once",
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,100}$"},
            }
        )
    return made


def statuses(route: Route) -> tuple[int, ...]:
    """Every status a route may answer with, but success."""
    always = [400, 500, 503]
    if route.role != "public":
        always += [401, 403]
    if "{" in route.path:
        always.append(404)
    if route.is_list or "date" in get_type_hints(route.query):
        always += [404, 406]
    if route.is_list:
        always.append(422)
    if route.body:
        always += [413, 415]
    if route.conditional:
        always += [412, 428]
    if route.method == "GET" and route.cached:
        always.append(304)
    return tuple(sorted({*always, *route.statuses}))


def _responses(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {"200": _success(route)}
    for status in statuses(route):
        made[str(status)] = {"description": HTTPStatus(status).phrase}
        if status != HTTPStatus.NOT_MODIFIED:
            problem = {"schema": {"$ref": REF.format(name="ProblemBody")}}
            made[str(status)]["content"] = {problems.MEDIA_TYPE: problem}
    return made


def _success(route: Route) -> dict[str, Any]:
    data = (
        {"type": "array", "items": fields.row_schema(route.fields)} if route.is_list else _schema(route.data)
    )
    envelope: dict[str, Any] = {
        "type": "object",
        "properties": {"success": {"const": True}, "data": data, "meta": _meta(route)},
        "required": ["success", "data"],
        "additionalProperties": False,
    }
    content: dict[str, Any] = {"application/json": {"schema": envelope}}
    content |= {kind: {} for name, kind in media(route).items() if name != "json"}
    return {"description": route.summary, "content": content}


def _meta(route: Route) -> dict[str, Any]:
    known = dict(META)
    if not issubclass(route.query, Cursor):
        known.pop("next_cursor")
    return {"type": "object", "properties": known, "additionalProperties": False}
