"""The people whom the provider knows, by subject. Users of the demo data have their address as subject."""

from collections.abc import Mapping
from typing import Any

from app.db.demo import USERS

NEWCOMER, UNVERIFIED, STRANGER, CONTRACTOR = "sub-nora", "sub-otto", "sub-sam", "sub-piet"

PEOPLE: Mapping[str, Mapping[str, Any]] = {
    **{user.email: {"name": user.name, "email": user.email, "email_verified": True} for user in USERS},
    NEWCOMER: {"name": "Nora Lind", "email": "nora@acme.example", "email_verified": True},
    UNVERIFIED: {"name": "Otto Brink", "email": "otto@acme.example", "email_verified": False},
    CONTRACTOR: {"name": "Piet Vos", "email": "piet@contractor.example", "email_verified": True},
    STRANGER: {"name": "Sam Holt", "email": "sam@elsewhere.example", "email_verified": True},
}
NAMES = {subject: claims["name"] for subject, claims in PEOPLE.items()}
