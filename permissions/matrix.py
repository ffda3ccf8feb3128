"""The whole policy on one page: which roles may take an action, and which may see an object of a type.

Nothing else in the product decides by role. Guards on fields, operations, `viewerActions`, the `awaiting` filter,
scopes and user management all ask this module, through the functions of `permissions.policy`. Actions that are not
listed are denied. Whether an object is in scope depends on grants, and whether it is locked on its state; neither is
decided here.
"""

from collections.abc import Mapping
from enum import StrEnum, unique

from app.domain.vocabulary import LocationAction, Role, Verb

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
    Action.CREATE_LOCATIONS:         frozenset({          LEAD                  }),
    Action.ADMINISTER:               frozenset({          LEAD                  }),
}

# The action that a verb of the status machine requires. A verb that is not listed is denied to every role.
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
    Verb.WAIVE_RECEIPT:        Action.WAIVE_RECEIPT,
    Verb.REJECT:               Action.REJECT,
    Verb.BLOCK:                Action.BLOCK,
    Verb.UNBLOCK:              Action.UNBLOCK,
    Verb.CANCEL:               Action.CANCEL,
    Verb.REOPEN:               Action.REOPEN,
}

# The same for the actions of `viewerActions`: the verbs, and those that are not verbs.
ACTION_OF_LOCATION_ACTION: Mapping[LocationAction, Action] = {
    LocationAction.EDIT:                 Action.EDIT_ONBOARDING,
    LocationAction.OPEN_OVERRIDE:        Action.OVERRIDE_LOCK,
    LocationAction.REPLACE_DEVICE:       Action.OVERRIDE_LOCK,
    LocationAction.SET_PARTNERS:         Action.ASSIGN_PARTNERS,
    LocationAction.CONFIRM_DECOMMISSION: Action.CONFIRM_DECOMMISSION,
    **{LocationAction(verb): action for verb, action in ACTION_OF_VERB.items() if verb in LocationAction.__members__},
}

# Users of these roles belong to one account and cannot have grants on another.
BOUND_TO_ACCOUNT: frozenset[Role] = frozenset({CUSTOMER})

# Users of these roles have access to all accounts, or only to those of their grants (`allAccounts`).
LIMITED_TO_GRANTS: frozenset[Role] = frozenset({LEAD})

# What users whose access is limited to their grants may not do, because it concerns all accounts.
NEEDS_ALL_ACCOUNTS: frozenset[Action] = frozenset({Action.ADMINISTER, Action.SET_ACCEPTED_VERSIONS})

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
}

# The same for the values of columns in the audit log. All other values are part of the audit log.
AUDIENCE_OF_VALUE: Mapping[tuple[str, str], Action] = {
    ("user", "email"):                    Action.ADMINISTER,
    ("provisioning_payload", "document"): Action.VIEW_PROVISIONING,
}
# fmt: on


def allows(role: Role, action: Action) -> bool:
    """Return whether a role may take an action; an action that the matrix does not list is denied."""
    return role in MATRIX.get(action, frozenset())
