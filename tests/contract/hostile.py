"""Families of requests that are small to send and costly to read: bodies, documents and variables, each by its size.

A family makes its member of a size; `Family.largest` is the largest size that the limits of a request let through, or
that a client can send. The bench and the slow lane import them: `python -m bench.hostile` prints what each costs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import process_time
from typing import Any

from graphql import get_named_type, is_abstract_type, is_object_type

from app.execution import BreadthFirst
from app.execution.model import Run
from app.execution.planning import selection_below, shape_for
from app.http.body import BodyLimits, BodyRefused, parse_json_body
from app.query_cost.limits import DocumentLimits
from app.query_cost.price import PriceRules
from graphql_schema.documents import Documents
from graphql_schema.errors import RequestRefused
from graphql_schema.requests import PreparedOperation, Request, prepare
from graphql_schema.schema import schema
from graphql_schema.trusted_documents import ANY_TEXT, TrustedDocuments
from tests.harness import by_token

MEBIBYTE = 1024 * 1024
TOKENS = 1_000
CHARACTERS = 15_000

LOCATION = '{location(id: "none"){'
CONTACTS = "mutation($input: SetContactsInput!){setContacts(input: $input){replayed}}"
FILTERED = "query($filter: LocationFilter){locations(filter: $filter){totalCount}}"


@dataclass(frozen=True, slots=True)
class Family:
    """Bodies of one kind: `body` makes the one of a size, `largest` is the size at which it costs most."""

    body: Callable[[int], bytes]
    largest: int

    def worst(self) -> bytes:
        """The body of the largest size."""
        return self.body(self.largest)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What precedes the execution of a body: its CPU seconds, the errors of a refusal, or the operation."""

    seconds: float
    errors: list[dict[str, Any]]
    prepared: PreparedOperation | None

    @property
    def code(self) -> str:
        """The code of the first error, or `accepted`."""
        return str(self.errors[0]["extensions"]["code"]) if self.errors else "accepted"


def encoded(query: str, variables: Mapping[str, Any] | None = None, **others: Any) -> bytes:
    """A body with these parameters."""
    return json.dumps({"query": query, "variables": variables, **others}).encode()


def raw(value: str, *, place: str = "variables") -> bytes:
    """A body with this text where `variables.v` is, or `extensions.v`."""
    return f'{{"query": "{{viewer{{name}}}}", "{place}": {{"v": {value}}}}}'.encode()


def repeated(part: str, *, start: str = "[", end: str = "1]", place: str = "variables") -> Family:
    """Bodies with a part so often; at most as often as a body has room."""
    room = MEBIBYTE - len(raw(start + end, place=place))
    return Family(lambda size: raw(start + part * size + end, place=place), room // len(part))


def document(text: Callable[[int], str], largest: int) -> Family:
    """Bodies that have nothing but a document."""
    return Family(lambda size: encoded(text(size)), largest)


def variables(query: str, given: Callable[[int], Mapping[str, Any]], largest: int) -> Family:
    """Bodies with the variables of a document."""
    return Family(lambda size: encoded(query, given(size)), largest)


def _filled(size: int, longest: int = CHARACTERS) -> int:
    """How many parts of a size fill a document."""
    return (longest - 200) // size


def introspections(count: int) -> str:
    """Root fields that describe the whole schema, each with another selection, so that none is counted for another."""
    fields = []
    for number in range(count):
        leaves = " ".join(
            leaf for bit, leaf in enumerate(["kind", "description", "specifiedByURL", "isOneOf"]) if number >> bit & 1
        )
        type_ = f"type{{{leaves} name ofType{{{leaves} name}}}}"
        described = f"types{{{leaves} name fields{{name args{{name isDeprecated {type_}}} {type_}}}}}"
        fields.append(f"a{number}: __schema{{{described}}}")
    return " ".join(fields)


# JSON: what a parser does most for. `values` are counted before it is asked.
BODIES: dict[str, Family] = {
    "values": repeated("1,"),
    "values at their limit": Family(lambda size: raw("[" + "1," * size + "1]"), 4_990),
    "values in extensions": repeated("[],", place="extensions"),
    "objects": repeated('{"a":1},'),
    "objects at their limit": Family(lambda size: raw("[" + '{"a":1},' * size + "1]"), 2_490),
    "keys": Family(lambda size: raw("{" + ",".join(f'"{i}":1' for i in range(size)) + "}"), 4_990),
    "long keys": Family(lambda size: raw("{" + ",".join(f'"{i:0>200}":1' for i in range(size)) + "}"), 4_990),
    "one key twice": Family(lambda size: raw("{" + ",".join(['"a":1'] * size) + "}"), 4_990),
    "the last key twice": Family(
        lambda size: raw("{" + ",".join(f'"{i:0>200}":1' for i in range(size)) + f',"{0:0>200}":1}}'), 4_990
    ),
    "objects with a key twice": Family(lambda size: raw("[" + '{"a":1,"b":{}},' * size + '{"a":1,"a":1}]'), 1_200),
    "nesting": Family(lambda size: raw("[" * size + "]" * size), MEBIBYTE // 2 - 100),
    "nesting at its limit": Family(lambda size: raw(",".join(["[" * 61 + "]" * 61] * size).join("[]")), 80),
    "open brackets": Family(lambda size: raw("[" * size), MEBIBYTE - 100),
    "escapes": repeated("\\n", start='"', end='"'),
    "unicode escapes": repeated("\\u00e9", start='"', end='"'),
    "surrogate pairs": repeated("\\ud83d\\ude00", start='"', end='"'),
    "high surrogates": repeated("\\ud83d", start='"', end='"'),
    "one high surrogate at the end": repeated("\\ud83d\\ude00", start='"', end='\\ud83d"'),
    "escaped quotes": repeated('\\"', start='"', end='"'),
    "escaped quotes without an end": repeated('\\"', start='["', end=""),
    "quotes": repeated('"a'),
    "strings": Family(lambda size: raw("[" + '"' * 2 + (',"' + "x" * 200 + '"') * size + "]"), 4_990),
    "strings of escapes": Family(lambda size: raw("[" + '""' + (',"' + "\\t" * 100 + '"') * size + "]"), 4_990),
    "commas in a string": repeated(",", start='"', end='"'),
    "brackets in a string": repeated("[", start='"', end='"'),
    "commas and escapes in a string": repeated(',\\"', start='"', end='"'),
    "text beyond ASCII": repeated("é", start='"', end='"'),
    "spaces": repeated(" ", start="1", end=""),
    "lines without an end": repeated("\n", start="[", end=""),
    "digits": repeated("1", start="", end=""),
    "digits of a fraction": repeated("1", start="1.", end=""),
    "digits of an exponent": repeated("1", start="1e", end=""),
    "long integers": Family(lambda size: raw("[" + "9223372036854775807," * size + "1]"), 4_990),
    "long fractions": Family(lambda size: raw("[" + ("0." + "1234567890" * 20 + ",") * size + "1]"), 4_990),
    "small exponents": Family(lambda size: raw("[" + ("1" * 190 + "e-300,") * size + "1]"), 4_990),
    "a large document": Family(lambda size: encoded("{a " * size), MEBIBYTE // 3 - 100),
    "a large operation name": Family(lambda size: encoded("{viewer{name}}", operationName="n" * size), MEBIBYTE - 100),
}


def _chain(count: int, selections: Callable[[int], str], on: str = "Location") -> str:
    parts = [f"fragment f{i} on {on} {{{selections(i + 1)}}}" for i in range(count)]
    return " ".join([*parts, f"fragment f{count} on {on} {{id}}"])


PAYLOAD = (
    "id locationId accountId sequence version state documentDigest contentDigest locationRevision generatedAt"
    " releasedAt withdrawnReason generatedBy{...user} releasedBy{...user} sourceAccount{...account} receipts{id answer"
    " receivedAt receivedBy{...user}}"
)
PLACE = (
    "id name status timezone siteCode revision contentDigest createdAt updatedAt account{...account}"
    " address{line1 line2 city state zipcode country} phoneSystem{mainNumber callerIdName provider outboundPrefix"
    " voicemail extensionLength revision}"
)


# Documents: every part within the limits, and what validation compares most with. Sizes are numbers of parts.
DOCUMENTS: dict[str, Family] = {
    "fields": document(lambda n: LOCATION + "id " * n + "}}", TOKENS - 13),
    "aliased fields": document(lambda n: LOCATION + " ".join(f"a{i}: id" for i in range(n)) + "}}", 30),
    "objects": document(lambda n: LOCATION + "account{id} " * n + "}}", 63),
    "objects beyond the comparisons": document(lambda n: LOCATION + "account{id} " * n + "}}", 245),
    "nested objects": document(lambda n: LOCATION + "devices{location{devices{id}}} " * n + "}}", 30),
    "fields with arguments": document(lambda n: "{" + 'location(id: "none"){id} ' * n + "}", 20),
    "fragments alike": document(
        lambda n: (
            LOCATION
            + " ".join(f"...f{i}" for i in range(n))
            + "}} "
            + " ".join(f"fragment f{i} on Location {{account{{id}}}}" for i in range(n))
        ),
        75,
    ),
    "fragments that spread all later ones": document(
        lambda n: (
            LOCATION + "...f0}} " + _chain(n, lambda i: "account{id} " + " ".join(f"...f{j}" for j in range(i, n + 1)))
        ),
        11,
    ),
    "a chain of fragments": document(lambda n: LOCATION + "...f0}} " + _chain(n, lambda i: f"id ...f{i}"), 60),
    "fragments that nobody uses": document(
        lambda n: "{viewer{name}} " + " ".join(f"fragment f{i} on Location {{id}}" for i in range(n)), 140
    ),
    "fragments in pairs": document(
        lambda n: (
            LOCATION
            + " ".join(f"...f{i}" for i in range(n))
            + "}} "
            + " ".join(f"fragment f{i} on Location {{a{i}: name status revision}}" for i in range(n))
        ),
        30,
    ),
    "inline fragments": document(lambda n: LOCATION + "...{id} " * n + "}}", 240),
    "inline fragments on types": document(
        lambda n: '{node(id: "none"){' + "... on Location{id} ... on Device{id} " * n + "}}", 80
    ),
    "inline fragments on objects": document(
        lambda n: '{node(id: "none"){' + "... on Location{account{id}} ... on Device{location{id}} " * n + "}}", 54
    ),
    "one fragment": document(lambda n: LOCATION + "...f " * n + "}} fragment f on Location {account{id}}", 485),
    "operations": document(lambda n: " ".join(f"query q{i} {{viewer{{name}}}}" for i in range(n)), 120),
    "operations of one fragment": document(
        lambda n: (
            " ".join(f"query q{i} {{...f}}" for i in range(n)) + " fragment f on Query {viewer{" + "name " * 180 + "}}"
        ),
        110,
    ),
    "operations with variables of one fragment": document(
        lambda n: (
            " ".join(f"query q{i}($a: Int!) {{...f}}" for i in range(n))
            + " fragment f on Query {"
            + "locations(first: $a){totalCount} " * 19
            + "}"
        ),
        60,
    ),
    "operations with one variable used often in one fragment": document(
        lambda n: (
            " ".join(f"query q{i}($v: LocationStatus!){{...f}}" for i in range(n))
            + " fragment f on Query {locations(filter: {status: ["
            + "$v " * ((940 - 12 * n) // 2)
            + "]}){totalCount}}"
        ),
        38,
    ),
    "operations with as many uses of variables as there can be": document(
        lambda n: (
            " ".join(f"query q{i}($v: LocationStatus!){{...f}}" for i in range(n))
            + " fragment f on Query {locations(filter: {status: ["
            + "$v " * (1_000 // n)
            + "]}){totalCount}}"
        ),
        30,
    ),
    "operations that use an undefined variable often": document(
        lambda n: (
            " ".join(f"query q{i}{{...f}}" for i in range(n))
            + " fragment f on Query {locations(filter: {status: ["
            + "$v " * ((940 - 6 * n) // 2)
            + "]}){totalCount}}"
        ),
        78,
    ),
    "operations of a chain": document(
        lambda n: (
            " ".join(f"query q{i} {{...f0}}" for i in range(n))
            + " "
            + _chain(n, lambda i: f"...f{i}", on="Query").replace("{id}", "{__typename}")
        ),
        58,
    ),
    "operations of fragments in a fan": document(
        lambda n: (
            " ".join(f"query q{i} {{{' '.join(f'...f{j}' for j in range(n))}}}" for i in range(n))
            + " "
            + " ".join(f"fragment f{i} on Query {{__typename}}" for i in range(n))
        ),
        18,
    ),
    "variables": document(lambda n: "query(" + " ".join(f"$v{i}: ID" for i in range(n)) + "){viewer{name}}", 245),
    "variables and uses": document(
        lambda n: (
            "query("
            + " ".join(f"$v{i}: Boolean!" for i in range(n))
            + "){viewer{"
            + " ".join(f"name @skip(if: $v{i})" for i in range(min(n, 48)))
            + "}}"
        ),
        48,
    ),
    "variables in a list": document(
        lambda n: (
            "query("
            + " ".join(f"$v{i}: LocationStatus!" for i in range(n))
            + "){locations(filter: {status: ["
            + " ".join(f"$v{i}" for i in range(n))
            + "]}){totalCount}}"
        ),
        135,
    ),
    "uses of one variable": document(
        lambda n: "query($v: LocationStatus!){locations(filter: {status: [" + "$v " * n + "]}){totalCount}}",
        480,
    ),
    "introspection in different selections": document(lambda n: "{" + introspections(n) + "}", 14),
    "introspection in different selections beyond the price": document(lambda n: "{" + introspections(n) + "}", 18),
    "undefined variables": document(
        lambda n: "{locations(filter: {status: [" + " ".join(f"$v{i}" for i in range(n)) + "]}){totalCount}}", 480
    ),
    "a variable twice": document(lambda n: "query(" + "$v: ID " * n + "){viewer{name}}", 245),
    "nested types of variables": document(
        lambda n: "query(" + " ".join(f"$v{i}: {'[' * 30}ID{']' * 30}" for i in range(n)) + "){viewer{name}}", 14
    ),
    "default values": document(
        lambda n: (
            "query($v: [LocationStatus!] = [" + "BLOCKED " * n + "]){locations(filter: {status: $v}){totalCount}}"
        ),
        960,
    ),
    "an argument twice": document(lambda n: "{location(" + 'id: "a" ' * n + "){id}}", 325),
    "an input field twice": document(lambda n: "{locations(filter: {" + 'name: "a" ' * n + "}){totalCount}}", 320),
    "a list of values": document(lambda n: "{locations(filter: {status: [" + "BLOCKED " * n + "]}){totalCount}}", 975),
    "unknown fields": document(lambda n: LOCATION + " ".join(f"name{i}" for i in range(n)) + "}}", 985),
    "unknown fields of long names": document(
        lambda n: LOCATION + " ".join("devicess" * 60 + str(i) for i in range(n)) + "}}", 29
    ),
    "one unknown field of a long name": document(lambda n: LOCATION + "d" * n + "}}", CHARACTERS - 40),
    "unknown arguments": document(lambda n: "{location(" + " ".join(f'id{i}: "a"' for i in range(n)) + "){id}}", 325),
    "unknown types": document(
        lambda n: "{viewer{" + " ".join(f"... on Locatio{i} {{id}}" for i in range(n)) + "}}", 160
    ),
    "unknown fragments": document(lambda n: LOCATION + " ".join(f"...f{i}" for i in range(n)) + "}}", 490),
    "unknown directives": document(lambda n: "{viewer{" + "name @skipp " * n + "}}", 49),
    "unknown enum values": document(
        lambda n: "{locations(filter: {status: [" + " ".join(f"STATUS{i}" for i in range(n)) + "]}){nodes{id}}}", 970
    ),
    "unknown input fields": document(
        lambda n: "{locations(filter: {" + " ".join(f"status{i}: 1" for i in range(n)) + "}){nodes{id}}}", 320
    ),
    "one enum value of a long name": document(
        lambda n: "{locations(filter: {status: [" + "B" * n + "]}){totalCount}}", CHARACTERS - 60
    ),
    "numbers out of range": document(lambda n: "{locations(first: " + "9" * n + "){totalCount}}", CHARACTERS - 40),
    "brackets": document(lambda n: "{location(id:" + "[" * n + '"a"' + "]" * n + "){id}}", 60),
    "inline fragments in each other": document(lambda n: LOCATION + "...{" * n + "id" + "}" * n + "}}", 61),
    "the largest plan": document(
        lambda n: (
            '{provisioningPayload(id: "none"){...p0}} '
            + " ".join(
                f"fragment p{i} on ProvisioningPayload {{{PAYLOAD} supersededBy{{...p{i + 1}}}"
                f" sourceLocation{{{PLACE} livePayload{{...p{i + 1}}}}}}}"
                for i in range(n)
            )
            + f" fragment p{n} on ProvisioningPayload {{{PAYLOAD}}}"
            " fragment user on User {id name role email signInStatus revision __typename}"
            " fragment account on Account {id name revision createdAt updatedAt __typename}"
        ),
        4,
    ),
    "a long name": document(lambda n: "{viewer{" + "a" * n + ": name}}", CHARACTERS - 40),
    "a long string": document(lambda n: '{location(id:"' + "a" * n + '"){id}}', CHARACTERS - 40),
    "a string of escapes": document(lambda n: '{location(id:"' + "\\u00e9" * n + '"){id}}', _filled(6)),
    "a block string of lines": document(lambda n: '{location(id:"""' + "\n a" * n + '"""){id}}', _filled(3)),
    "a block string of empty lines": document(lambda n: '{location(id:"""' + "\n" * n + '"""){id}}', _filled(1)),
    "a block string of quotes": document(lambda n: '{location(id:"""' + '\\"""' * n + '"""){id}}', _filled(4)),
    "a text that is no date": document(
        lambda n: '{locations(filter: {updatedSince: "' + "2" * n + '"}){totalCount}}', CHARACTERS - 80
    ),
    "names of text": document(
        lambda n: '{locations(filter: {name: "' + "e\\u0301" * n + '"}){totalCount}}', _filled(7)
    ),
    "a text that is no cursor": document(
        lambda n: '{locations(after: "' + "A" * n + '"){totalCount}}', CHARACTERS - 60
    ),
    "comments": document(lambda n: "#\n" * n + "{viewer{name}}", _filled(2)),
    "commas": document(lambda n: "," * n + "{viewer{name}}", _filled(1)),
}


def _contacts(count: int) -> Mapping[str, Any]:
    return {"input": {"locationId": "a", "expectedRevision": 1, "contacts": [{"purpose": "PRIMARY"}] * count}}


def _extensions(text: str) -> Mapping[str, Any]:
    extensions = [{"number": "1", "label": text}] * 250
    return {"input": {"locationId": "a", "expectedRevision": 1, "extensions": extensions}}


# Variables: more than their declared maxima, unknown, or long. Sizes are numbers of values, or characters.
VARIABLES: dict[str, Family] = {
    "contacts": variables(CONTACTS, _contacts, 11_000),
    "contacts at the limit of values": variables(CONTACTS, _contacts, 2_490),
    "contacts that are none": variables(
        CONTACTS, lambda n: {"input": {"locationId": "a", "expectedRevision": 1, "contacts": [1] * n}}, 4_980
    ),
    "lists as a variable": variables(
        "mutation($all: [ContactInput!]!){"
        'setContacts(input: {locationId: "a", expectedRevision: 1, contacts: $all}){replayed}}',
        lambda n: {"all": [{"purpose": "PRIMARY"}] * n},
        2_490,
    ),
    "unknown input fields": variables(FILTERED, lambda n: {"filter": {f"x{i}": 1 for i in range(n)}}, 45_000),
    "unknown input fields at the limit of values": variables(
        FILTERED, lambda n: {"filter": {f"x{i}": 1 for i in range(n)}}, 4_980
    ),
    "one unknown input field of a long name": variables(FILTERED, lambda n: {"filter": {"x" * n: 1}}, 900_000),
    "unknown input fields like a known one": variables(
        FILTERED, lambda n: {"filter": {"updatedSinc" + "e" * i: 1 for i in range(2, n)}}, 1_000
    ),
    "unknown variables": variables(FILTERED, lambda n: {f"x{i}": 1 for i in range(n)}, 4_980),
    "a name": variables(FILTERED, lambda n: {"filter": {"name": "n" * n}}, 900_000),
    "a name to normalise": variables(FILTERED, lambda n: {"filter": {"name": "e\u0301" * n}}, 80_000),
    "a name of Hangul": variables(FILTERED, lambda n: {"filter": {"name": "\u1112\u1161\u11ab" * n}}, 50_000),
    "a name of marks": variables(FILTERED, lambda n: {"filter": {"name": "a" + "\u0327\u0301" * n}}, 80_000),
    "a name of spaces": variables(FILTERED, lambda n: {"filter": {"name": " " * n}}, 900_000),
    "a status": variables(FILTERED, lambda n: {"filter": {"status": ["B" * n]}}, 900_000),
    "statuses": variables(FILTERED, lambda n: {"filter": {"status": ["BLOCKED"] * n}}, 4_980),
    "statuses that are none": variables(FILTERED, lambda n: {"filter": {"status": [f"B{i}" for i in range(n)]}}, 4_980),
    "a date": variables(FILTERED, lambda n: {"filter": {"updatedSince": "2" * n}}, 900_000),
    "an id": variables(FILTERED, lambda n: {"filter": {"accountId": "a" * n}}, 900_000),
    "an id that is a list": variables(FILTERED, lambda n: {"filter": {"accountId": ["a" * n]}}, 900_000),
    "an id that is an object": variables(FILTERED, lambda n: {"filter": {"accountId": {"a" * n: 1}}}, 900_000),
    "a filter that is a text": variables(FILTERED, lambda n: {"filter": "a" * n}, 900_000),
    "a filter that is a list": variables(FILTERED, lambda n: {"filter": ["a"] * n}, 4_980),
    "a number that is a text": variables(
        "query($n: Int!){locations(first: $n){totalCount}}", lambda n: {"n": "1" * n}, 900_000
    ),
    "a boolean that is a text": variables(
        "query($n: Boolean!){viewer{name @skip(if: $n)}}", lambda n: {"n": "1" * n}, 900_000
    ),
    "a cursor": variables("query($a: String){locations(after: $a){totalCount}}", lambda n: {"a": "A" * n}, 900_000),
    "nested lists": variables(
        "query($f: [[[[LocationStatus!]]]]){viewer{name}}", lambda n: {"f": [[[["BLOCKED"]]]] * n}, 1_200
    ),
    "long labels": variables(
        "mutation($input: SetExtensionsInput!){setExtensions(input: $input){replayed}}",
        lambda n: _extensions("e\u0301" * n),
        500,
    ),
    "locations of grants": variables(
        "mutation($input: SetGrantsInput!){setGrants(input: $input){replayed}}",
        lambda n: {
            "input": {
                "userId": "a",
                "expectedRevision": 1,
                "grants": [{"accountId": "a", "scope": {"locationIds": ["location-1"] * 990}}] * n,
            }
        },
        5,
    ),
    "hours": variables(
        "mutation($input: SetWorkingHoursInput!){setWorkingHours(input: $input){replayed}}",
        lambda n: {
            "input": {
                "locationId": "a",
                "expectedRevision": 1,
                "intervals": [{"weekday": 1, "opens": "0" * n, "closes": "0" * n}] * 42,
            }
        },
        10_000,
    ),
}

# All at once: a costly body, with a costly document and costly variables.
TOGETHER: dict[str, Family] = {
    "comparisons, and operations with one variable": document(
        lambda n: (
            " ".join(f"query q{i}($v: LocationStatus!){{...f}}" for i in range(n))
            + ' fragment f on Query {location(id: "none"){'
            + "account{id} " * 62
            + "} locations(filter: {status: ["
            + "$v " * ((670 - 12 * n) // 2)
            + "]}){totalCount}}"
        ),
        26,
    ),
    "comparisons, introspection and a body of escapes": Family(
        lambda size: encoded(
            f'{{{introspections(9)} location(id: "none"){{{"account{id} " * 62}}}}}',
            extensions={"x": ["\t" * 100] * size},
        ),
        4_900,
    ),
    "a document and unknown fields": Family(
        lambda size: encoded(
            "query($filter: LocationFilter){locations(filter: $filter){nodes{" + "account{id} " * 62 + "}}}",
            {"filter": {f"x{i}": "e\u0301" * 10 for i in range(size)}},
        ),
        4_980,
    ),
    "a document and long values": Family(
        lambda size: encoded(
            "mutation($input: SetExtensionsInput!){setExtensions(input: $input){location{"
            + "account{id} " * 60
            + "}}}",
            _extensions("\u00e9" * size),
            extensions={"x": [{"a": 1}] * 1_200},
        ),
        600,
    ),
}

FAMILIES: Mapping[str, Mapping[str, Family]] = {
    "bodies": BODIES,
    "documents": DOCUMENTS,
    "variables": VARIABLES,
    "together": TOGETHER,
}

SCHEMA = schema._schema
LIMITS = BodyLimits()
PRICES = PriceRules()


def before_execution(body: bytes, *, suggestions: bool = False) -> "Outcome":
    """Do all that precedes the execution of a body: read, parse, check, validate, coerce, price. Nothing is cached."""
    documents = Documents(SCHEMA, limits=DocumentLimits(), prices=PRICES, suggestions=suggestions)
    began = process_time()
    errors: list[dict[str, Any]] = []
    prepared = None
    try:
        parameters = parse_json_body(body, LIMITS)
        prepared = prepare(_request(parameters), documents, PRICES, TrustedDocuments(ANY_TEXT))
    except BodyRefused as refusal:
        errors = [{"message": str(refusal), "extensions": {"code": refusal.code}}]
    except RequestRefused as refusal:
        errors = refusal.errors
    return Outcome(process_time() - began, errors, prepared)


def planning(prepared: PreparedOperation) -> float:
    """The CPU seconds of planning an operation with all its selections, for every type that they can apply to."""
    engine = BreadthFirst()
    began = process_time()
    plan = engine.plan(SCHEMA, prepared.document, prepared.operation.name, hide_suggestions=True)
    if plan.declined is None:
        variables = prepared.variables.coerced
        run = Run.__new__(Run)
        run.plan, run.shape, run.variables = plan, shape_for(plan, variables), variables
        pending = list(run.shape.selections)
        while pending:
            for field in pending.pop().fields:
                named = get_named_type(field.type)
                types = SCHEMA.get_possible_types(named) if is_abstract_type(named) else [named]
                pending += [selection_below(run, field, each) for each in types if is_object_type(each)]
    return process_time() - began


def _request(parameters: Any) -> Request:
    return Request(
        credential=by_token("bench"),
        request_id="bench",
        query=parameters["query"],
        operation_name=parameters["operationName"],
        variables=parameters["variables"],
        read_only=False,
        writing=lambda: None,
        abandoned=lambda _facts: None,
    )
