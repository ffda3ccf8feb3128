"""The whole policy on one page: which roles may take an action, and which may see an object of a type.

Nothing else in the product decides by role. Guards on fields, operations, `viewerActions`, the `awaiting` filter,
scopes and user management all ask this module, through the functions of `permissions.policy`, which also know what a
service token includes. Actions that are not listed are denied. Whether an object is in scope depends on grants, and
whether it is locked on its state; neither is decided here.
"""

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from app.domain.derived_enum import derived_enum
from app.domain.vocabulary import LocationAction, Role

CUSTOMER, LEAD, PARTNER, AUDITOR = Role.CUSTOMER, Role.IMPLEMENTATION_LEAD, Role.PARTNER, Role.AUDITOR


@unique
class Action(StrEnum):
    """The actions that a role can be allowed to take."""

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
    VIEW_INTERNAL_REASONS = "VIEW_INTERNAL_REASONS"
    VIEW_AUDIT = "VIEW_AUDIT"
    VIEW_ALL_AUDIT = "VIEW_ALL_AUDIT"
    ACKNOWLEDGE = "ACKNOWLEDGE"
    REJECT = "REJECT"
    WAIVE_RECEIPT = "WAIVE_RECEIPT"
    CONFIRM_DECOMMISSION = "CONFIRM_DECOMMISSION"
    ASSIGN_PARTNERS = "ASSIGN_PARTNERS"
    VIEW_ACCEPTED_VERSIONS = "VIEW_ACCEPTED_VERSIONS"
    SET_ACCEPTED_VERSIONS = "SET_ACCEPTED_VERSIONS"
    RUN_BULK = "RUN_BULK"
    BLOCK = "BLOCK"
    UNBLOCK = "UNBLOCK"
    CANCEL = "CANCEL"
    REOPEN = "REOPEN"
    COMPLETE = "COMPLETE"
    VIEW_ACCOUNTS = "VIEW_ACCOUNTS"
    VIEW_CATALOGUE = "VIEW_CATALOGUE"
    VIEW_USERS = "VIEW_USERS"
    MANAGE_OWN_SESSIONS = "MANAGE_OWN_SESSIONS"
    CREATE_LOCATIONS = "CREATE_LOCATIONS"
    ADMINISTER = "ADMINISTER"


# fmt: off
MATRIX: Mapping[Action, frozenset[Role]] = {
    #                                           customers  leads  partners  auditors
    Action.VIEW_LOCATIONS:           frozenset({CUSTOMER, LEAD                  }),
    Action.VIEW_ALL_LOCATIONS:       frozenset({          LEAD                  }),
    Action.EDIT_ONBOARDING:          frozenset({CUSTOMER, LEAD                  }),
    Action.EDIT_ANY_ONBOARDING:      frozenset({          LEAD                  }),
    Action.OVERRIDE_LOCK:            frozenset({          LEAD                  }),
    Action.SUBMIT:                   frozenset({CUSTOMER, LEAD                  }),
    Action.WITHDRAW:                 frozenset({CUSTOMER, LEAD                  }),
    Action.APPROVE:                  frozenset({          LEAD                  }),
    Action.REQUEST_CHANGES:          frozenset({          LEAD                  }),
    Action.VIEW_PROVISIONING:        frozenset({          LEAD, PARTNER         }),
    Action.VIEW_ALL_PROVISIONING:    frozenset({          LEAD                  }),
    Action.GENERATE_PAYLOAD:         frozenset({          LEAD                  }),
    Action.TRIGGER_PROVISIONING:     frozenset({          LEAD                  }),
    Action.VIEW_INTERNAL_REASONS:    frozenset({          LEAD                  }),
    Action.VIEW_AUDIT:               frozenset({          LEAD,          AUDITOR}),
    Action.VIEW_ALL_AUDIT:           frozenset({          LEAD,          AUDITOR}),
    Action.ACKNOWLEDGE:              frozenset({                PARTNER         }),
    Action.REJECT:                   frozenset({                PARTNER         }),
    Action.WAIVE_RECEIPT:            frozenset({          LEAD                  }),
    Action.CONFIRM_DECOMMISSION:     frozenset({          LEAD, PARTNER         }),
    Action.ASSIGN_PARTNERS:          frozenset({          LEAD                  }),
    Action.VIEW_ACCEPTED_VERSIONS:   frozenset({          LEAD, PARTNER         }),
    Action.SET_ACCEPTED_VERSIONS:    frozenset({          LEAD, PARTNER         }),
    Action.RUN_BULK:                 frozenset({          LEAD                  }),
    Action.BLOCK:                    frozenset({          LEAD                  }),
    Action.UNBLOCK:                  frozenset({          LEAD                  }),
    Action.CANCEL:                   frozenset({          LEAD                  }),
    Action.REOPEN:                   frozenset({          LEAD                  }),
    Action.COMPLETE:                 frozenset({          LEAD                  }),
    Action.VIEW_ACCOUNTS:            frozenset({CUSTOMER, LEAD, PARTNER         }),
    Action.VIEW_CATALOGUE:           frozenset({CUSTOMER, LEAD                  }),
    Action.VIEW_USERS:               frozenset({CUSTOMER, LEAD, PARTNER, AUDITOR}),
    Action.MANAGE_OWN_SESSIONS:      frozenset({CUSTOMER, LEAD, PARTNER, AUDITOR}),
    Action.CREATE_LOCATIONS:         frozenset({          LEAD                  }),
    Action.ADMINISTER:               frozenset({          LEAD                  }),
}

# What the actions on a location require. One that is not listed is denied to every role.
ACTION_OF_LOCATION_ACTION: Mapping[LocationAction, Action] = {
    LocationAction.EDIT:                  Action.EDIT_ONBOARDING,
    LocationAction.OPEN_OVERRIDE:         Action.OVERRIDE_LOCK,
    LocationAction.START_ONBOARDING:      Action.EDIT_ONBOARDING,
    LocationAction.SUBMIT_ONBOARDING:     Action.SUBMIT,
    LocationAction.WITHDRAW_SUBMISSION:   Action.WITHDRAW,
    LocationAction.REQUEST_CHANGES:       Action.REQUEST_CHANGES,
    LocationAction.APPROVE:               Action.APPROVE,
    LocationAction.APPROVE_AGAIN:         Action.APPROVE,
    LocationAction.GENERATE_PAYLOAD:      Action.GENERATE_PAYLOAD,
    LocationAction.TRIGGER_PROVISIONING:  Action.TRIGGER_PROVISIONING,
    LocationAction.ACKNOWLEDGE_PAYLOAD:   Action.ACKNOWLEDGE,
    LocationAction.COMPLETE_PROVISIONING: Action.COMPLETE,
    LocationAction.WAIVE_RECEIPT:         Action.WAIVE_RECEIPT,
    LocationAction.REJECT_PAYLOAD:        Action.REJECT,
    LocationAction.BLOCK:                 Action.BLOCK,
    LocationAction.UNBLOCK:               Action.UNBLOCK,
    LocationAction.CANCEL:                Action.CANCEL,
    LocationAction.REOPEN:                Action.REOPEN,
    LocationAction.REPLACE_DEVICE:        Action.OVERRIDE_LOCK,
    LocationAction.SET_LOCATION_PARTNERS: Action.ASSIGN_PARTNERS,
    LocationAction.CONFIRM_DECOMMISSION:  Action.CONFIRM_DECOMMISSION,
}

# Users of these roles belong to one account and cannot have grants on another.
BOUND_TO_ACCOUNT: frozenset[Role] = frozenset({CUSTOMER})

# Users of these roles have access to all accounts, or only to those of their grants (`allAccounts`).
LIMITED_TO_GRANTS: frozenset[Role] = frozenset({LEAD})

# What users whose access is limited to their grants may not do, because it concerns all accounts.
NEEDS_ALL_ACCOUNTS: frozenset[Action] = frozenset({Action.ADMINISTER, Action.SET_ACCEPTED_VERSIONS})

# What no service token includes, whatever it states: it could otherwise widen itself.
NEVER_OF_TOKENS: frozenset[Action] = frozenset({Action.ADMINISTER, Action.MANAGE_OWN_SESSIONS})

if TYPE_CHECKING:

    class TokenAction(StrEnum):
        """The actions that a service token can include."""

else:
    TokenAction = derived_enum(
        "TokenAction", __name__, ((each.name, each.value) for each in Action if each not in NEVER_OF_TOKENS)
    )

# The actions that a service token must include for another one to count: those that show what the action is about.
REQUIRES: Mapping[Action, frozenset[Action]] = {
    Action.VIEW_LOCATIONS:           frozenset({Action.VIEW_ACCOUNTS, Action.VIEW_USERS}),
    Action.VIEW_ALL_LOCATIONS:       frozenset({Action.VIEW_LOCATIONS}),
    Action.EDIT_ONBOARDING:          frozenset({Action.VIEW_LOCATIONS}),
    Action.EDIT_ANY_ONBOARDING:      frozenset({Action.EDIT_ONBOARDING}),
    Action.OVERRIDE_LOCK:            frozenset({Action.VIEW_LOCATIONS}),
    Action.SUBMIT:                   frozenset({Action.VIEW_LOCATIONS}),
    Action.WITHDRAW:                 frozenset({Action.VIEW_LOCATIONS}),
    Action.APPROVE:                  frozenset({Action.VIEW_LOCATIONS}),
    Action.REQUEST_CHANGES:          frozenset({Action.VIEW_LOCATIONS}),
    Action.VIEW_PROVISIONING:        frozenset({Action.VIEW_USERS}),
    Action.VIEW_ALL_PROVISIONING:    frozenset({Action.VIEW_PROVISIONING}),
    Action.GENERATE_PAYLOAD:         frozenset({Action.VIEW_LOCATIONS, Action.VIEW_PROVISIONING}),
    Action.TRIGGER_PROVISIONING:     frozenset({Action.VIEW_LOCATIONS, Action.VIEW_PROVISIONING}),
    Action.VIEW_AUDIT:               frozenset({Action.VIEW_USERS}),
    Action.VIEW_ALL_AUDIT:           frozenset({Action.VIEW_AUDIT}),
    Action.ACKNOWLEDGE:              frozenset({Action.VIEW_PROVISIONING}),
    Action.REJECT:                   frozenset({Action.VIEW_PROVISIONING}),
    Action.WAIVE_RECEIPT:            frozenset({Action.VIEW_LOCATIONS, Action.VIEW_PROVISIONING}),
    Action.CONFIRM_DECOMMISSION:     frozenset({Action.VIEW_PROVISIONING}),
    Action.ASSIGN_PARTNERS:          frozenset({Action.VIEW_LOCATIONS}),
    Action.VIEW_ACCEPTED_VERSIONS:   frozenset({Action.VIEW_USERS}),
    Action.SET_ACCEPTED_VERSIONS:    frozenset({Action.VIEW_ACCEPTED_VERSIONS}),
    Action.RUN_BULK:                 frozenset({Action.VIEW_LOCATIONS, Action.VIEW_PROVISIONING}),
    Action.BLOCK:                    frozenset({Action.VIEW_LOCATIONS}),
    Action.UNBLOCK:                  frozenset({Action.VIEW_LOCATIONS}),
    Action.CANCEL:                   frozenset({Action.VIEW_LOCATIONS}),
    Action.REOPEN:                   frozenset({Action.VIEW_LOCATIONS}),
    Action.COMPLETE:                 frozenset({Action.VIEW_LOCATIONS}),
    Action.CREATE_LOCATIONS:         frozenset({Action.VIEW_LOCATIONS, Action.VIEW_PROVISIONING}),
}

# The action that a role must be allowed to take to see an object of a type, wherever it appears in the graph. A type
# that is not listed is part of its parent object.
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
    "StatusChange":          Action.VIEW_LOCATIONS,
    "PayloadNotice":         Action.VIEW_PROVISIONING,
    "Override":              Action.OVERRIDE_LOCK,
    "ProvisioningPayload":   Action.VIEW_PROVISIONING,
    "Receipt":               Action.VIEW_PROVISIONING,
    "PayloadRecipient":      Action.VIEW_ALL_PROVISIONING,
    "LocationPartner":       Action.ASSIGN_PARTNERS,
    "AuditEntry":            Action.VIEW_AUDIT,
    "FieldChange":           Action.VIEW_AUDIT,
    "ContentAsOf":           Action.VIEW_AUDIT,
    "DeviceModel":           Action.VIEW_CATALOGUE,
    "User":                  Action.VIEW_USERS,
    "Grant":                 Action.ADMINISTER,
    "UserSession":           Action.MANAGE_OWN_SESSIONS,
    "ServiceToken":          Action.MANAGE_OWN_SESSIONS,
    "Invitation":            Action.ADMINISTER,
}

# The same for the values of columns in the audit log. All other values are part of the audit log.
AUDIENCE_OF_VALUE: Mapping[tuple[str, str], Action] = {
    ("user", "email"):                    Action.ADMINISTER,
    ("invitation", "email"):              Action.ADMINISTER,
    ("provisioning_payload", "document"): Action.VIEW_PROVISIONING,
}
# fmt: on


def allows(role: Role, action: Action) -> bool:
    """Return whether a role may take an action; an action that the matrix does not list is denied."""
    return role in MATRIX.get(action, frozenset())
