"""A stand-in for the product behind the page: a dictionary answers, and it remembers who asked what."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphql import GraphQLError, build_schema, graphql_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.http.graphiql import graphiql_routes

SCHEMA = build_schema(Path(__file__).with_name("stub.graphql").read_text())
PEOPLE = [
    {"role": "IMPLEMENTATION_LEAD", "name": "Lena Ortiz", "email": "lead@turnup.example", "token": "lead-token"},
    {"role": "IMPLEMENTATION_LEAD", "name": "Sam Okoro", "email": "lead2@turnup.example", "token": "lead2-token"},
    {"role": "CUSTOMER", "name": "Alice Johnson", "email": "customer@acme.example", "token": "customer-token"},
    {"role": "PARTNER", "name": "Carrier robot", "email": "partner@carrier.example", "token": "partner-token"},
]
LOCKED = {"code": "LOCKED", "message": "The location is locked (APPROVED).", "path": ["input", "locationId"]}
LOCATION = {
    "id": "location-1",
    "name": "Acme Medical - Main Office",
    "status": "PENDING_APPROVAL",
    "account": {"name": "Acme Medical Group"},
    "contacts": [{"purpose": "PRIMARY", "name": "Alice Johnson", "email": "alice@example.com", "phone": "+1-555-0101"}],
    "devices": [{"id": "phone-1", "brand": "YEALINK", "model": "T46S", "extension": {"number": "1001"}}],
    "viewerActions": [{"action": "APPROVE", "allowed": True}],
}


class Root:
    """The root fields that the tests run; the others answer null."""

    def locations(self, _info: object, **_: object) -> dict[str, Any]:
        return {"totalCount": 1, "nodes": [LOCATION], "pageInfo": {"hasNextPage": False}}

    def approve(self, _info: object, **_: object) -> dict[str, Any]:
        return {"location": LOCATION, "replayed": False, "problems": [LOCKED]}

    def provisioningPayloads(self, _info: object, **_: object) -> None:  # noqa: N802  # the schema's name
        raise GraphQLError("Only partners see payloads here.", extensions={"code": "FORBIDDEN"})


@dataclass
class Stub:
    """The server, and every GraphQL request that reached it: the Authorization header and the operation's name."""

    dist: Path
    config: dict[str, Any]
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    expired: set[str] = field(default_factory=set)

    def app(self) -> Starlette:
        return Starlette(
            routes=[*graphiql_routes(self.dist, lambda: self.config), Route("/graphql", self.answer, methods=["POST"])]
        )

    async def answer(self, request: Request) -> Response:
        sent = await request.json()
        authorization = request.headers.get("authorization")
        self.asked.append((authorization, sent.get("operationName")))
        valid = {person["token"] for person in PEOPLE} - self.expired
        if (authorization or "").removeprefix("Bearer ") not in valid:
            refusal = {"message": "Sign in first.", "extensions": {"code": "UNAUTHENTICATED"}}
            return JSONResponse({"errors": [refusal]}, status_code=401)
        result = graphql_sync(
            SCHEMA, sent["query"], Root(), variable_values=sent.get("variables"), operation_name=sent["operationName"]
        )
        return JSONResponse(result.formatted)
