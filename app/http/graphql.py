"""GraphQL over HTTP: the form of requests and responses.

Follows the GraphQL-over-HTTP specification: POST with a JSON body, GET for queries. `Accept` selects
`application/graphql-response+json`, in which refused requests have an error status, or `application/json`, in which
every result of GraphQL has status 200. Only JSON bodies are accepted, which no HTML form can send.
"""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from app.http.body import (
    BadRequest,
    BatchRefused,
    BodyLimits,
    BodyRefused,
    GraphQLParameters,
    parse_json,
    parse_json_body,
    read_body,
)
from app.http.body_memory import BodyMemory, HeldBody
from app.http.caching import NOT_MODIFIED, REVALIDATED, entity_tag, is_current, not_modified
from app.http.departure import Departure
from app.http.refusals import (
    PLAIN_JSON,
    RESPONSE_JSON,
    Response,
    TransportRefused,
    encoded,
    refused,
    repeated,
    send_response,
)

IDENTITY = b"identity"
"""The content coding of a body that is not compressed."""
MOST_ANSWERS = 20
"""The largest batch that is answered by an array. Apollo's BatchHttpLink sends at most 10 requests by default."""
PARAMETERS = ("query", "documentId", "operationName", "variables", "extensions")
"""The parameters of a URL that are read; each may be given once. Others are ignored, as other keys of a body are."""
JSON_PARAMETERS = frozenset({"variables", "extensions"})
READING = frozenset({"GET", "HEAD"})
"""The methods that run queries only. A HEAD request is executed like GET; the body of its answer is not sent."""


@dataclass(frozen=True, slots=True)
class UnreadRequest:
    """A request before its body is read; `fields` are its header fields by lower-case name.

    `scheme` is that of the client's connection, also behind a trusted proxy. `client` is the address and port of the
    client, None for a Unix socket.
    """

    fields: Mapping[bytes, bytes]
    scheme: str
    client: tuple[str, int] | None
    request_id: str
    client_request_id: str | None
    """The id that the client gave to its request, None if it gave none that is well-formed."""

    def field(self, name: bytes) -> str | None:
        """Return a header field's value, with repeated fields joined to one list (RFC 9110, section 5.3), or None."""
        value = self.fields.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Admitted:
    """An admitted request: the credential, which this package only passes on, and the key of the user for bounds."""

    credential: Any
    user: Hashable


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A GraphQL request received over HTTP, with the credential with which it was admitted."""

    head: UnreadRequest
    credential: Any
    parameters: GraphQLParameters
    read_only: bool
    spent_seconds: float
    """The time that the admission of the request took. The time in which the client sent the body is not part of it."""
    writing: Callable[[], None]
    """Called when the request begins to write: from then on it is finished even when its client disconnects."""
    abandoned: Callable[[Mapping[str, object]], None]
    """Called with facts about the request, for operators, when it is cancelled."""


# Admits a request. May raise TransportRefused; the body is then not read.
Admit = Callable[[UnreadRequest], Awaitable[Admitted]]


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """The body of a response, whether GraphQL executed the call (else it was refused), and further header fields.

    `summary` is for operators; this package only passes it on.
    """

    body: dict[str, Any]
    executed: bool
    headers: Mapping[str, str]
    summary: object = None


# Answers a call. May raise TransportRefused.
Answerer = Callable[[HttpCall], Awaitable[CallAnswer]]


class GraphQLEndpoint:
    """The ASGI endpoint of `/graphql`.

    Stores the summary of an answered call in `scope["state"]["summary"]`, and what was known of one whose client left
    in `scope["state"]["abandoned"]`. Of a request that it refuses itself, it stores the code in
    `scope["state"]["code"]`, and in `scope["state"]["own_share"]` whether its client used up its own share of the
    server. `scope["state"]["receive_seconds"]` is the time for which it waited for the body.
    """

    def __init__(self, admit: Admit, answer: Answerer, *, limits: BodyLimits) -> None:
        self._admit = admit
        self._answer = answer
        self._limits = limits
        self._bodies = BodyMemory(limits.size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self._respond(scope, receive)
        except ClientDisconnect:
            return  # the client has left: nothing to send and nothing to log
        await send_response(response, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        state = scope.get("state", {})
        request_id = state.get("request_id", "")
        media_type = PLAIN_JSON
        try:
            fields = joined(scope["headers"])
            media_type = negotiated(fields.get(b"accept", b"").decode("latin-1"))
            read_only = _reads_only(scope["method"], fields)
            head = UnreadRequest(
                fields, scope.get("scheme", "http"), scope.get("client"), request_id, state.get("client_request_id")
            )
            began = monotonic()
            admitted = await self._admit(head)
            spent = monotonic() - began
            with self._bodies.of(admitted.user) as held:
                parameters = self._from_url(Request(scope)) if read_only else await self._read(scope, receive, held)
                with Departure(receive) as departure:
                    abandoned = partial(state.__setitem__, "abandoned")
                    call = HttpCall(
                        head, admitted.credential, parameters, read_only, spent, departure.ignore, abandoned
                    )
                    answer = await self._answer(call)
        except TransportRefused as refusal:
            state["code"], state["own_share"] = refusal.code, refusal.own_share
            sentence = str(refusal)
            return refused(
                refusal.code, sentence, request_id, refusal.headers, facts=refusal.facts, media_type=media_type
            )
        except BodyRefused as refusal:
            state["code"] = refusal.code
            response = refused(refusal.code, str(refusal), request_id, media_type=media_type)
            requests = refusal.requests if isinstance(refusal, BatchRefused) else 0
            return repeated(response, requests) if 0 < requests <= MOST_ANSWERS else response
        state["summary"] = answer.summary
        if read_only and _may_be_kept(answer):
            return _revalidated(answer, media_type, head.field(b"if-none-match"))
        return encoded(answer.body, answer.executed, media_type, answer.headers)

    async def _read(self, scope: Scope, receive: Receive, held: HeldBody) -> GraphQLParameters:
        began = monotonic()
        try:
            body = await read_body(receive, self._limits.size, scope["headers"], held.add)
        finally:
            scope.get("state", {})["receive_seconds"] = monotonic() - began
        return parse_json_body(body, self._limits)

    def _from_url(self, request: Request) -> GraphQLParameters:
        given = request.query_params
        twice = next((name for name in PARAMETERS if len(given.getlist(name)) > 1), None)
        if twice is not None:
            raise BadRequest(f"The parameter {twice} is given twice.")
        # An empty parameter counts as absent: forms and templates of URLs send all of them.
        texts = {name: given[name] for name in PARAMETERS if given.get(name)}
        parts: dict[str, object] = dict(texts)
        for name in JSON_PARAMETERS & texts.keys():
            parts[name] = parse_json(texts[name].encode("utf-8", "surrogatepass"), self._limits, f"`{name}`")
        return parse_json_body(orjson.dumps(parts), self._limits)


def _may_be_kept(answer: CallAnswer) -> bool:
    """Return whether the own cache of the client may keep the answer to a query: it is complete and has no secret."""
    return answer.executed and "errors" not in answer.body and "Cache-Control" not in answer.headers


def _revalidated(answer: CallAnswer, media_type: str, if_none_match: str | None) -> Response:
    """Return the response with a tag of its data, or 304 if the client has the data. `extensions` are not compared."""
    data = orjson.dumps(answer.body["data"], option=orjson.OPT_UTC_Z)
    tag = entity_tag(media_type.encode(), data)
    headers = {**answer.headers, "Cache-Control": REVALIDATED, "ETag": tag}
    response = encoded({**answer.body, "data": orjson.Fragment(data)}, True, media_type, headers)
    if not is_current(if_none_match, tag):
        return response
    return Response(NOT_MODIFIED, not_modified(response.headers), b"")


def _reads_only(method: str, fields: Mapping[bytes, bytes]) -> bool:
    """Return whether the request may only run a query. Raises TransportRefused for its method or its form of body."""
    if method in READING:
        return True
    if method != "POST":
        raise TransportRefused("METHOD_NOT_ALLOWED", "Use POST, or GET for queries.", {"Allow": "GET, HEAD, POST"})
    if not is_json(fields.get(b"content-type", b"").decode("latin-1")):
        raise TransportRefused("UNSUPPORTED_MEDIA_TYPE", "The body has to be application/json in UTF-8.")
    if fields.get(b"content-encoding", IDENTITY).lower() != IDENTITY:
        # RFC 9110, section 12.5.3: the field says which codings a request may have.
        accepted = {"Accept-Encoding": IDENTITY.decode()}
        sentence = "The body must not be compressed: omit Content-Encoding."
        raise TransportRefused("UNSUPPORTED_MEDIA_TYPE", sentence, accepted)
    return False


def joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return header fields by name, with repeated fields joined to one list (RFC 9110, section 5.3).

    The cookies of several fields are joined as browsers join them in one (RFC 9113, section 8.2.3).
    """
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        between = b"; " if name == b"cookie" else b", "
        fields[name] = fields[name] + between + value if name in fields else value
    return fields


def negotiated(accept: str) -> str:
    """Return the media type of the response, by the Accept header. Raises TransportRefused when none is acceptable."""
    if accept in _USUAL:
        return accept or PLAIN_JSON
    ranges = [_media_range(each) for each in accept.split(",") if each.strip()]
    if not ranges:
        return PLAIN_JSON
    best, best_quality = None, 0.0
    for offered in (PLAIN_JSON, RESPONSE_JSON):
        quality = _quality(offered, ranges)
        # At equal quality the newer type wins only when the client named it.
        named = any(media == offered for media, _ in ranges)
        if quality > best_quality or (quality == best_quality > 0 and named and offered == RESPONSE_JSON):
            best, best_quality = offered, quality
    if best is None:
        raise TransportRefused("NOT_ACCEPTABLE", f"Supported response types: {RESPONSE_JSON} and {PLAIN_JSON}.")
    return best


_USUAL = {"", PLAIN_JSON, RESPONSE_JSON}


def is_json(content_type: str) -> bool:
    """Return whether a body's content type is JSON in UTF-8."""
    if content_type == PLAIN_JSON:
        return True
    media, *parameters = content_type.split(";")
    if media.strip().lower() != PLAIN_JSON:
        return False
    charsets = [each.partition("=")[2].strip(' "').lower() for each in parameters if "charset" in each.lower()]
    return all(charset in {"utf-8", "utf8"} for charset in charsets)


def _media_range(text: str) -> tuple[str, float]:
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media, min(1.0, max(0.0, float(value)))
            except ValueError:
                return media, 0.0
    return media, 1.0


def _quality(offered: str, ranges: list[tuple[str, float]]) -> float:
    """Return the q-value of the most specific matching range, or 0."""
    for wanted in (offered, "application/*", "*/*"):
        for media, quality in ranges:
            if media == wanted:
                return quality
    return 0.0
