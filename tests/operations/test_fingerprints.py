"""Idempotency keys stay valid: the fingerprint of a call is the same from one version of the product to the next."""

import json
from pathlib import Path
from typing import Any

import pytest
from graphql import coerce_input_value

from app.operations.context import MutationCall
from app.operations.idempotency import fingerprint_of
from graphql_schema.mutations import FIELDS
from resolvers.commands import conversion

from .scenario import MUTATIONS

# Inputs of each mutation with what is required, with nulls, and with everything, and the fingerprints that
# version 0.1.0 kept of them. A line may be added, none may change.
KEPT: list[dict[str, Any]] = json.loads((Path(__file__).parent / "fingerprints.json").read_text())
FIELD_OF = {each.mutation.name: each for each in FIELDS}


def call_of(mutation: str, given: dict[str, Any]) -> MutationCall[Any]:
    """The call that an input makes."""
    field = FIELD_OF[mutation]
    coerced = coerce_input_value(given, MUTATIONS[mutation].args["input"].type)
    return MutationCall(mutation=mutation, command=conversion(field.input, field.mutation.command)(coerced))


@pytest.mark.parametrize("mutation", sorted({each["mutation"] for each in KEPT}))
def test_a_call_has_the_fingerprint_that_was_kept_of_it(mutation: str) -> None:
    kept = [each for each in KEPT if each["mutation"] == mutation]
    assert [(each["input"], fingerprint_of(call_of(mutation, each["input"])).hex()) for each in kept] == [
        (each["input"], each["fingerprint"]) for each in kept
    ]


def test_a_fingerprint_is_kept_of_every_mutation() -> None:
    assert {each["mutation"] for each in KEPT} == set(MUTATIONS)


def test_a_field_that_a_patch_leaves_out_is_another_call_than_one_that_empties_it() -> None:
    patch = {"deviceId": "device-1", "expectedRevision": 1}
    left_out, emptied = call_of("editDevice", patch), call_of("editDevice", {**patch, "label": None})
    assert fingerprint_of(left_out) != fingerprint_of(emptied)
