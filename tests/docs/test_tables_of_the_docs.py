"""The tables of the pages say what the code says."""

import re
from dataclasses import asdict
from enum import Enum

import pytest
from graphql import GraphQLEnumType, build_schema, is_enum_type
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from app.admission import CHECKS_OF_KNOWN_SUBJECT
from app.audit.replay import ON_SYSTEM, TRACKED, UNTRACKED
from app.db.database import WAIT_SECONDS
from app.db.demo import USERS
from app.domain import vocabulary, waiting
from app.domain.limits import CAPS, RANGES
from app.domain.refusals import Refusal
from app.domain.vocabulary import Role, SystemAction
from app.http.body import BodyLimits
from app.http.body_memory import TOTAL_BYTES, UNCOUNTED_BYTES, USER_BYTES
from app.http.chunks import CHUNKS, LINE_BYTES, TRAILER_BYTES
from app.http.connections import ConnectionLimits, Refused, descriptors, within_descriptors
from app.http.heads import FIELD_BYTES, FIELDS, TARGET_BYTES
from app.http.health import CHECKS_PER_SECOND
from app.http.protocol import LINGER_BYTES, WRITE_BYTES
from app.http.refusals import GRAPHQL_STATUS, TRANSPORT_STATUS
from app.http.request_fields import FROM_OTHER_ORIGINS
from app.http.slots import REFUSAL_SECONDS, WAITED_SECONDS, Full, most_of_floods, most_per_user
from app.main import connections_of
from app.query_cost.limits import DocumentLimits
from app.query_cost.price import PriceRules
from app.session_settings import APP, LOCK_SECONDS, OF_ROLE
from app.settings import Environment, Settings, production_problems
from app.telemetry.gauges import AGE, BUSINESS, LOCATIONS, RUNTIME, TOTALS
from app.telemetry.metrics import Family, Metrics, start_metrics
from bench import picture
from graphql_schema.documents import MOST_COMPARISONS
from graphql_schema.errors import TABLE
from graphql_schema.introspection import MOST_NAMES_PER_LIST
from graphql_schema.problems import PROBLEMS
from graphql_schema.refused_credentials import MOST_CREDENTIALS, MOST_RECORDED, MOST_UNSIGNED
from graphql_schema.schema import schema
from permissions.matrix import AUDIENCE, REQUIRES, Action, allows
from resolvers import lists

from .pages import page, table

ENUMS = [
    each
    for module in (vocabulary, waiting, lists)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, Enum) and each.__module__ == module.__name__
]
ENUMS_OF_THE_SCHEMA = [
    each
    for name, each in build_schema(schema.as_str()).type_map.items()
    if is_enum_type(each) and name in {enum.__name__ for enum in ENUMS}
]


def test_the_permissions_page_has_the_matrix() -> None:
    said = {action: tuple(cells) for action, *cells in table(page("docs/permissions.md"), "Actions")}
    assert said == {action.value: tuple("yes" if allows(role, action) else "no" for role in Role) for action in Action}


def test_the_permissions_page_has_the_audience_of_every_type() -> None:
    said = dict(table(page("docs/permissions.md"), "Types"))
    assert said == {name: action.value for name, action in AUDIENCE.items()}


def test_the_permissions_page_has_what_actions_of_service_tokens_require() -> None:
    said = {
        action: set(required.replace("`", "").split(", "))
        for action, required in table(page("docs/permissions.md"), "Service tokens")
    }
    assert said == {action.value: set(required) for action, required in REQUIRES.items()}


def test_the_permissions_page_has_the_scope_of_every_role() -> None:
    assert [role for role, _ in table(page("docs/permissions.md"), "Scope")] == [role.value for role in Role]


def test_the_readme_has_every_setting_with_its_default() -> None:
    said = {name: default for name, default, *_ in table(page("README.md"), "Configuration")}
    assert said == {_variable(name): _default(field.default) for name, field in Settings.model_fields.items()}


def test_the_readme_says_what_production_requires() -> None:
    said = {name for name, _, production, _ in table(page("README.md"), "Configuration") if production == "required"}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    bare = Settings.model_construct(**{**defaults, "env": Environment.PRODUCTION})
    assert said == {
        name
        for name, separator, _ in (each.partition(" is missing") for each in production_problems(bare))
        if separator
    }


def test_the_readme_lists_the_demo_users() -> None:
    said = [email for email, *_ in table(page("README.md"), "GraphiQL and demo users")]
    assert sorted(said) == sorted(user.email for user in USERS)


def test_every_role_has_a_demo_user() -> None:
    assert {user.role for user in USERS} == set(Role)


def test_the_metrics_page_has_every_metric_with_its_labels() -> None:
    said = {name: labels for name, labels, _ in table(page("docs/metrics.md"), "Names")}
    metrics = start_metrics("1.2.3")
    held = [getattr(metrics, name) for name in Metrics.__slots__]
    held = [each.metric if isinstance(each, Family) else each for each in held]
    (restarts,) = metrics._restarts.collect()
    gauges = dict.fromkeys([*RUNTIME, *(f"{name}_total" for name in TOTALS)], "")
    business = dict.fromkeys([f"turnup_{name}" for name in (*BUSINESS, AGE)], "") | {f"turnup_{LOCATIONS}": "status"}
    build = {"turnup_build_info": "version, python"}
    assert said == {f"{restarts.name}_total": ""} | gauges | business | build | {
        each._name + ("_total" if isinstance(each, Counter) else ""): ", ".join(each._labelnames)
        for each in held
        if isinstance(each, MetricWrapperBase)
    }


def test_the_audit_page_has_every_action_of_the_system() -> None:
    said = [name for names, _ in table(page("docs/audit.md"), "Actions of the system") for name in names.split(", ")]
    assert sorted(said) == sorted(SystemAction)


def test_the_audit_page_lists_every_table_by_its_chain() -> None:
    said = dict(table(page("docs/audit.md"), "Tracked tables"))
    assert set(said) == {"the account's", "system", "none"}
    of_accounts = {each.name for each in TRACKED if each not in ON_SYSTEM}
    assert sorted(said["the account's"].split(", ")) == sorted(of_accounts)
    assert sorted(said["system"].split(", ")) == sorted(each.name for each in ON_SYSTEM)
    untracked = ", ".join(part.partition(":")[0].strip() for part in said["none"].split(";"))
    assert sorted(untracked.split(", ")) == sorted(each.name for each in UNTRACKED)


def test_the_errors_page_has_every_code_with_its_status() -> None:
    said = {code: status for code, status, *_ in table(page("docs/errors.md"), "Errors")}
    refused = {code: str(status) for code, status in TRANSPORT_STATUS.items()}
    by_media_type = {code: f"{status} or 200" for code, status in GRAPHQL_STATUS.items()}
    in_fields = {code: "200" for code, _, _ in TABLE.values() if code not in refused | by_media_type}
    assert said == refused | by_media_type | in_fields


def test_the_errors_page_has_every_problem_with_its_facts() -> None:
    said = {code: (name, facts) for code, name, facts, _ in table(page("docs/errors.md"), "Problems")}
    types = schema._schema.type_map
    common = set(types["Problem"].fields)  # type: ignore[attr-defined]
    assert said == {
        refusal.code.value: (
            refusal.__name__,
            ", ".join(name for name in types[refusal.__name__].fields if name not in common) or "none",  # type: ignore[attr-defined]
        )
        for refusal in (problem.refusal for problem in PROBLEMS)
    }
    assert len(said) == len(Refusal.__subclasses__())


def test_the_errors_page_has_every_limit() -> None:
    text = page("docs/errors.md")
    body = BodyLimits()
    documents = {name: str(value) for name, value in asdict(DocumentLimits()).items()}
    validation = {"introspection_lists": str(MOST_NAMES_PER_LIST), "comparisons": str(MOST_COMPARISONS)}
    bodies = {"body size": str(body.size), "body depth": str(body.depth), "body values": str(body.values)}
    said = {name: maximum for name, maximum, _ in table(text, "Limits of a request")}
    assert said == documents | validation | {"price": str(PriceRules().maximum)} | bodies
    assert {name: most for name, most, _ in table(text, "Limits of the content")} == {
        name: str(most) for name, most in CAPS.items()
    }
    assert {name: (variable, most) for name, variable, most, _ in table(text, "Budgets")} == {
        name.value: (_variable(f"limit_{name.lower()}"), str(Settings.model_fields[f"limit_{name.lower()}"].default))
        for name in vocabulary.Budget
    }
    assert {name: (least, most) for name, least, most in table(text, "Ranges")} == {
        name: (str(least), str(most)) for name, (least, most) in RANGES.items()
    }


def test_the_errors_page_has_every_limit_of_a_connection() -> None:
    limits = ConnectionLimits()
    codes = {name: (most, code) for name, most, code, _ in table(page("docs/errors.md"), "Limits of a connection")}
    assert codes == {
        "target": (str(TARGET_BYTES), "URI_TOO_LONG"),
        "fields": (str(FIELDS), "HEADERS_TOO_LARGE"),
        "field bytes": (str(FIELD_BYTES), "HEADERS_TOO_LARGE"),
        "chunk line": (str(LINE_BYTES), "BAD_REQUEST"),
        "chunks": (str(CHUNKS), "BAD_REQUEST"),
        "trailer": (str(TRAILER_BYTES), "BAD_REQUEST"),
        "header seconds": (str(limits.head_seconds), "REQUEST_TIMEOUT"),
        "body seconds": (str(limits.body_seconds), "REQUEST_TIMEOUT"),
        "write seconds": (str(limits.write_seconds), "none"),
        "unsent": (str(limits.unsent_bytes), "none"),
        "idle seconds": (str(limits.keep_alive_seconds), "none"),
        "linger seconds": (str(limits.linger_seconds), "none"),
        "connections": (str(limits.total), "OVERLOADED"),
        "connections per address": (str(limits.per_address), "OVERLOADED"),
        "reserve": (str(limits.reserve), "none"),
        "reserve seconds": (str(limits.reserve_seconds), "REQUEST_TIMEOUT"),
    }
    said = page("docs/errors.md")
    assert f"time for {WRITE_BYTES} bytes" in said
    assert f"at most {LINGER_BYTES} bytes" in said


def test_the_errors_page_has_every_limit_of_requests_in_progress() -> None:
    said = {name: maximum for name, maximum, _ in table(page("docs/errors.md"), "Requests in progress")}
    most = Settings().most_requests
    assert said == {
        _variable("limit_requests"): str(most),
        _variable("limit_request_burst"): str(Settings.model_fields["limit_request_burst"].default),
        "requests of a user": str(most_per_user(most)),
        "requests of floods": str(most_of_floods(most)),
        "refusals": str(round(1 / REFUSAL_SECONDS)),
        "waited seconds": str(WAITED_SECONDS),
    }


def test_the_metrics_page_has_every_reason_of_a_refused_request() -> None:
    rows = {name: description for name, _, description in table(page("docs/metrics.md"), "Names")}
    said = re.findall(r"`(\w+)`", rows["turnup_requests_refused_total"])
    assert said == [reason.value for reason in Full]


def test_the_settings_of_connections_have_the_defaults_of_their_limits() -> None:
    made = connections_of(Settings(), start_metrics("1.2.3"), lambda _: None).limits
    assert made == within_descriptors(ConnectionLimits(), descriptors())


def test_the_metrics_page_has_every_reason_of_a_refused_connection() -> None:
    rows = {name: description for name, _, description in table(page("docs/metrics.md"), "Names")}
    said = re.findall(r"`(\w+)`", rows["turnup_connections_refused_total"])
    assert said == [reason.value for reason in Refused]


def test_the_errors_page_has_the_time_that_is_waited_for_locks_and_connections() -> None:
    said = {name: maximum for name, maximum, _ in table(page("docs/errors.md"), "Time limits and turns")}
    assert (said["lock seconds"], said["pool seconds"]) == (str(LOCK_SECONDS), str(WAIT_SECONDS))


def test_the_errors_page_has_every_limit_of_the_entry() -> None:
    said = {name: maximum for name, maximum, _ in table(page("docs/errors.md"), "Anonymous requests")}
    assert said == {
        _variable("limit_anonymous"): str(Settings.model_fields["limit_anonymous"].default),
        "known subject": str(CHECKS_OF_KNOWN_SUBJECT),
        "refused credentials": str(MOST_CREDENTIALS),
        "refused again": str(MOST_RECORDED),
        "requests without sign-in": str(MOST_UNSIGNED),
        "bodies": str(TOTAL_BYTES),
        "bodies of a user": str(USER_BYTES),
        "uncounted body": str(UNCOUNTED_BYTES),
        "readiness checks": str(CHECKS_PER_SECOND),
    }


@pytest.mark.parametrize("enum", ENUMS, ids=lambda each: each.__name__)
def test_the_glossary_explains_every_member(enum: type[Enum]) -> None:
    rows = table(page("docs/glossary.md"), enum.__name__)
    assert [name for name, _ in rows] == [member.name for member in enum]
    assert all(sentence for _, sentence in rows)


@pytest.mark.parametrize("enum", ENUMS_OF_THE_SCHEMA, ids=lambda each: each.name)
def test_the_glossary_and_the_schema_explain_a_member_alike(enum: GraphQLEnumType) -> None:
    said = {name: sentence.replace("`", "") for name, sentence in table(page("docs/glossary.md"), enum.name)}
    assert said == {name: (value.description or "").replace("`", "") for name, value in enum.values.items()}


def test_the_glossary_has_every_type_of_the_audience() -> None:
    terms = {term for term, *_ in table(page("docs/glossary.md"), "Terms")}
    assert set(AUDIENCE) <= {"".join(word.capitalize() for word in term.split()) for term in terms}


def _variable(field: str) -> str:
    alias = Settings.model_fields[field].validation_alias
    return str(alias) if alias else f"TURNUP_{field.upper()}"


def _default(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value.value if isinstance(value, Enum) else value)


def test_the_picture_of_the_performance_page_is_drawn_from_its_table() -> None:
    assert page("docs/performance.svg") == picture.picture(page("docs/performance.md"))


def test_the_deployment_page_has_every_bound_of_a_session() -> None:
    declared = {role: {each.name: each.text for each in settings} for role, settings in OF_ROLE.items()}
    assert [each[:4] for each in table(page("docs/deployment.md"), "Bounds of a session")] == [
        [each.name, each.text, declared["turnup_owner"].get(each.name, "not set"), each.bounds] for each in APP
    ]
    assert set(declared["turnup_owner"]) <= set(declared["turnup_app"])


def test_the_page_on_http_has_every_field_that_pages_of_other_origins_may_send() -> None:
    text = page("docs/graphql-over-http.md").partition("\n### Other origins\n")[2].partition("`TURNUP_CORS_HEADERS`")[0]
    listed = {each.lower() for each in re.findall(r"`([A-Za-z-]+)`", text)}
    assert listed == {*FROM_OTHER_ORIGINS, "get", "head", "post"}
