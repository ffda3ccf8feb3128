"""The roles that can use each verb of the status machine, as agreed with the product's owners."""

from app.domain.vocabulary import LocationAction, Role

CUSTOMER, LEAD, PARTNER = Role.CUSTOMER, Role.IMPLEMENTATION_LEAD, Role.PARTNER

WHO_MAY: dict[LocationAction, frozenset[Role]] = {
    LocationAction.START_ONBOARDING: frozenset({CUSTOMER, LEAD}),
    LocationAction.SUBMIT_ONBOARDING: frozenset({CUSTOMER, LEAD}),
    LocationAction.WITHDRAW_SUBMISSION: frozenset({CUSTOMER, LEAD}),
    LocationAction.REQUEST_CHANGES: frozenset({LEAD}),
    LocationAction.APPROVE: frozenset({LEAD}),
    LocationAction.APPROVE_AGAIN: frozenset({LEAD}),
    LocationAction.GENERATE_PAYLOAD: frozenset({LEAD}),
    LocationAction.TRIGGER_PROVISIONING: frozenset({LEAD}),
    LocationAction.ACKNOWLEDGE_PAYLOAD: frozenset({PARTNER}),
    LocationAction.COMPLETE_PROVISIONING: frozenset({LEAD}),
    LocationAction.WAIVE_RECEIPT: frozenset({LEAD}),
    LocationAction.REJECT_PAYLOAD: frozenset({PARTNER}),
    LocationAction.BLOCK: frozenset({LEAD}),
    LocationAction.UNBLOCK: frozenset({LEAD}),
    LocationAction.CANCEL: frozenset({LEAD}),
    LocationAction.REOPEN: frozenset({LEAD}),
}
