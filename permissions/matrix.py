"""The whole policy on one screen: which roles may take an action, and which may be shown an object of a type.

Nothing else in the product decides by role. Guards on fields, operations, `viewerActions`, the `awaiting` filter,
scopes and user management all ask this page, by the functions of `permissions.policy`. What is not listed is denied.
Whether an object is in scope depends on grants, and whether it is locked on its state; neither is answered here.
"""

from collections.abc import Mapping
from enum import StrEnum, unique

from app.domain.vocabulary import LocationAction, Role, Verb

CUSTOMER, LEAD, PARTNER = Role.CUSTOMER, Role.IMPLEMENTATION_LEAD, Role.PARTNER


@unique
class Action(StrEnum):
    """What a principal may be allowed to do."""

    VIEW_LOCATIONS = "VIEW_LOCATIONS"
    VIEW_ALL_LOCATIONS = "VIEW_ALL_LOCATIONS"
    EDIT_ONBOARDING = "EDIT_ONBOARDING"
    EDIT_ANY_ONBOARDING = "EDIT_ANY_ONBOARDING"
    OVERRIDE_LOCK = "OVERRIDE_LOCK"
    SUBMIT = "SUBMIT"
    WITHDRAW = "WITHDRAW"
    APPROVE = "APPROVE"
    REQUEST_CHANGES = "REQUEST_CHANGES"
    VIEW_PROVISIONING = "VIEW_PROVISIONING"
    VIEW_ALL_PROVISIONING = "VIEW_ALL_PROVISIONING"
    GENERATE_PAYLOAD = "GENERATE_PAYLOAD"
    TRIGGER_PROVISIONING = "TRIGGER_PROVISIONING"
    VIEW_AUDIT = "VIEW_AUDIT"
    ACKNOWLEDGE = "ACKNOWLEDGE"
    REJECT = "REJECT"
    RUN_BULK = "RUN_BULK"
    BLOCK = "BLOCK"
    UNBLOCK = "UNBLOCK"
    CANCEL = "CANCEL"
    REOPEN = "REOPEN"
    COMPLETE = "COMPLETE"
    VIEW_ACCOUNTS = "VIEW_ACCOUNTS"
    VIEW_CATALOGUE = "VIEW_CATALOGUE"
    ADMINISTER = "ADMINISTER"


# fmt: off
MATRIX: Mapping[Action, frozenset[Role]] = {
    #                                           customers  leads  partners
    Action.VIEW_LOCATIONS:           frozenset({CUSTOMER, LEAD         }),
    Action.VIEW_ALL_LOCATIONS:       frozenset({          LEAD         }),
    Action.EDIT_ONBOARDING:          frozenset({CUSTOMER, LEAD         }),
    Action.EDIT_ANY_ONBOARDING:      frozenset({          LEAD         }),
    Action.OVERRIDE_LOCK:            frozenset({          LEAD         }),
    Action.SUBMIT:                   frozenset({CUSTOMER, LEAD         }),
    Action.WITHDRAW:                 frozenset({CUSTOMER, LEAD         }),
    Action.APPROVE:                  frozenset({          LEAD         }),
    Action.REQUEST_CHANGES:          frozenset({          LEAD         }),
    Action.VIEW_PROVISIONING:        frozenset({          LEAD, PARTNER}),
    Action.VIEW_ALL_PROVISIONING:    frozenset({          LEAD         }),
    Action.GENERATE_PAYLOAD:         frozenset({          LEAD         }),
    Action.TRIGGER_PROVISIONING:     frozenset({          LEAD         }),
    Action.VIEW_AUDIT:               frozenset({          LEAD         }),
    Action.ACKNOWLEDGE:              frozenset({                PARTNER}),
    Action.REJECT:                   frozenset({                PARTNER}),
    Action.RUN_BULK:                 frozenset({          LEAD         }),
    Action.BLOCK:                    frozenset({          LEAD         }),
    Action.UNBLOCK:                  frozenset({          LEAD         }),
    Action.CANCEL:                   frozenset({          LEAD         }),
    Action.REOPEN:                   frozenset({          LEAD         }),
    Action.COMPLETE:                 frozenset({          LEAD         }),
    Action.VIEW_ACCOUNTS:            frozenset({CUSTOMER, LEAD, PARTNER}),
    Action.VIEW_CATALOGUE:           frozenset({CUSTOMER, LEAD         }),
    Action.ADMINISTER:               frozenset({          LEAD         }),
}

# The action that a verb of the status machine takes. A verb that is not listed is nobody's.
ACTION_OF_VERB: Mapping[Verb, Action] = {
    Verb.START:                Action.EDIT_ONBOARDING,
    Verb.SUBMIT:               Action.SUBMIT,
    Verb.WITHDRAW:             Action.WITHDRAW,
    Verb.REQUEST_CHANGES:      Action.REQUEST_CHANGES,
    Verb.APPROVE:              Action.APPROVE,
    Verb.APPROVE_AGAIN:        Action.APPROVE,
    Verb.GENERATE_PAYLOAD:     Action.GENERATE_PAYLOAD,
    Verb.TRIGGER_PROVISIONING: Action.TRIGGER_PROVISIONING,
    Verb.ACKNOWLEDGE:          Action.ACKNOWLEDGE,
    Verb.COMPLETE:             Action.COMPLETE,
    Verb.REJECT:               Action.REJECT,
    Verb.BLOCK:                Action.BLOCK,
    Verb.UNBLOCK:              Action.UNBLOCK,
    Verb.CANCEL:               Action.CANCEL,
    Verb.REOPEN:               Action.REOPEN,
}

# The same for what `viewerActions` lists: the verbs, and what is no verb.
ACTION_OF_LOCATION_ACTION: Mapping[LocationAction, Action] = {
    LocationAction.EDIT:          Action.EDIT_ONBOARDING,
    LocationAction.OPEN_OVERRIDE: Action.OVERRIDE_LOCK,
    **{LocationAction(verb): action for verb, action in ACTION_OF_VERB.items() if verb in LocationAction.__members__},
}

# Users of these roles work for one account each, and may be granted nothing of another.
BOUND_TO_ACCOUNT: frozenset[Role] = frozenset({CUSTOMER})

# What one must be allowed to do to be shown an object of a type, wherever in the graph it turns up.
# A type that is not listed is part of the object it hangs on.
AUDIENCE: Mapping[str, Action] = {
    "Account":               Action.VIEW_ACCOUNTS,
    "Location":              Action.VIEW_LOCATIONS,
    "OnboardingSession":     Action.VIEW_LOCATIONS,
    "Contact":               Action.VIEW_LOCATIONS,
    "PhoneSystem":           Action.VIEW_LOCATIONS,
    "Device":                Action.VIEW_LOCATIONS,
    "Person":                Action.VIEW_LOCATIONS,
    "Extension":             Action.VIEW_LOCATIONS,
    "WorkingHours":          Action.VIEW_LOCATIONS,
    "CallFlow":              Action.VIEW_LOCATIONS,
    "CallFlowOption":        Action.VIEW_LOCATIONS,
    "Approval":              Action.VIEW_LOCATIONS,
    "Override":              Action.OVERRIDE_LOCK,
    "ProvisioningPayload":   Action.VIEW_PROVISIONING,
    "Receipt":               Action.VIEW_PROVISIONING,
    "AuditEntry":            Action.VIEW_AUDIT,
    "FieldChange":           Action.VIEW_AUDIT,
    "ContentAsOf":           Action.VIEW_AUDIT,
    "DeviceModel":           Action.VIEW_CATALOGUE,
    "User":                  Action.VIEW_ACCOUNTS,
    "Grant":                 Action.ADMINISTER,
}
# fmt: on


def allows(role: Role, action: Action) -> bool:
    """Whether a role may take an action at all; an action that the matrix does not know is nobody's."""
    return role in MATRIX.get(action, frozenset())
