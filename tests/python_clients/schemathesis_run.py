"""Operations that schemathesis generates, sent to the server: python schemathesis_run.py URL CASES SEED ID...

Each field of Query and Mutation gets the same number of cases, together at least CASES. Arguments of type ID are the
given ids of objects, or random texts. Prints the responses as JSON lines. Raises if schemathesis finds that one is no
GraphQL response, or contradicts the schema.
"""

import json
import os
import sys

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.graphql import nodes
from schemathesis.specs.openapi.checks import response_schema_conformance

url, cases, seed_of_the_run, *ids = sys.argv[1:]
headers = {"Authorization": f"Bearer {os.environ['LEAD_TOKEN']}"}

texts = st.text(max_size=20)
schemathesis.graphql.scalar("ID", st.one_of(st.sampled_from(ids), texts).map(nodes.String))
schemathesis.graphql.scalar("JSON", texts.map(nodes.String))
schemathesis.graphql.scalar("Time", st.times().map("{:%H:%M:%S}".format).map(nodes.String))

schema = schemathesis.graphql.from_url(url, headers=headers)
operations = [each.ok() for each in schema.get_all_operations()]


def send(case: Case) -> None:
    """Send a case, print the response, and let schemathesis check it."""
    response = case.call(headers=headers, timeout=60)
    received = {name: value for name, (value, *_) in response.headers.items()}
    line = {
        "operation": case.body,
        "status": response.status_code,
        "headers": received,
        "body": response.text,
    }
    print(json.dumps(line))  # noqa: T201 - the test reads it
    case.validate_response(response, checks=[response_schema_conformance])


generated = settings(
    max_examples=-(-int(cases) // len(operations)),
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
for operation in operations:
    seed(int(seed_of_the_run))(generated(given(case=operation.as_strategy())(send)))()
