"""The roles that can use each verb of the status machine, as agreed with the product's owners."""

from app.domain.vocabulary import Role, Verb

CUSTOMER, LEAD, PARTNER = Role.CUSTOMER, Role.IMPLEMENTATION_LEAD, Role.PARTNER

WHO_MAY: dict[Verb, frozenset[Role]] = {
    Verb.START: frozenset({CUSTOMER, LEAD}),
    Verb.SUBMIT: frozenset({CUSTOMER, LEAD}),
    Verb.WITHDRAW: frozenset({CUSTOMER, LEAD}),
    Verb.REQUEST_CHANGES: frozenset({LEAD}),
    Verb.APPROVE: frozenset({LEAD}),
    Verb.APPROVE_AGAIN: frozenset({LEAD}),
    Verb.GENERATE_PAYLOAD: frozenset({LEAD}),
    Verb.TRIGGER_PROVISIONING: frozenset({LEAD}),
    Verb.ACKNOWLEDGE: frozenset({PARTNER}),
    Verb.COMPLETE: frozenset({LEAD}),
    Verb.WAIVE_RECEIPT: frozenset({LEAD}),
    Verb.REJECT: frozenset({PARTNER}),
    Verb.BLOCK: frozenset({LEAD}),
    Verb.UNBLOCK: frozenset({LEAD}),
    Verb.CANCEL: frozenset({LEAD}),
    Verb.REOPEN: frozenset({LEAD}),
}
