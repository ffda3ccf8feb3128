"""Numbers that no extension may take or stand in the way of: emergency calls and public services."""

import phonenumbers

# Emergency calls and their test in North America: 911 (47 U.S.C. 251(e)(3)) and 933, which reads the address back.
# 47 CFR 9.16 (Kari's Law) wants 911 dialled without any prefix, so nothing that begins with it can be an extension.
EMERGENCY = ("911", "933")

# The service codes N11 of the North American Numbering Plan, and 988, the crisis line (47 CFR 52.200).
SERVICES = frozenset({f"{first}11" for first in range(2, 10)} | {"988"})

_SHORTEST_EXTENSION = 2


def shadows_emergency(number: str, country: str | None) -> bool:
    """Whether the number is an emergency number, begins with one, or is the beginning of one.

    A phone that sends a number as soon as it matches would ring extension 91 before 911 was dialled. Beside North
    America's, the emergency numbers of the location's own country count.
    """
    if len(number) < _SHORTEST_EXTENSION:
        return False
    if any(number.startswith(code) or code.startswith(number) for code in EMERGENCY):
        return True
    return country is not None and phonenumbers.is_emergency_number(number, country)


def is_service(number: str) -> bool:
    """Whether the number is a service code that the public network answers."""
    return number in SERVICES
