"""The whole policy on one screen: which roles may take an action, and which may stand before a type.

Nothing else in the product decides by role. Guards on fields, operations and `viewerActions` all ask `allows`.
What is not listed is denied. Whether an object is in reach is a question of scope, whether it is locked one of
state; neither is answered here.
"""

from collections.abc import Mapping
from enum import StrEnum, unique

from app.domain.vocabulary import Role

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
