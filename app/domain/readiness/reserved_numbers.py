"""Numbers that extensions must not use or block: emergency calls and public services."""

import phonenumbers

# Emergency numbers in North America: 911 (47 U.S.C. 251(e)(3)) and its test number 933, which reads the caller's
# address back. 47 CFR 9.16 (Kari's Law) requires that 911 can be dialled without a prefix, so no extension may begin
# with it.
EMERGENCY = ("911", "933")

# The service codes N11 of the North American Numbering Plan, and 988, the crisis line (47 CFR 52.200).
SERVICES = frozenset({f"{first}11" for first in range(2, 10)} | {"988"})

_SHORTEST_EXTENSION = 2


def shadows_emergency(number: str, country: str | None) -> bool:
    """Return whether the number is an emergency number, begins with one, or is the beginning of one.

    A phone that sends a number as soon as it matches would ring extension 91 before 911 was dialled. The emergency
    numbers are those of North America and those of the location's own country.
    """
    if len(number) < _SHORTEST_EXTENSION:
        return False
    if any(number.startswith(code) or code.startswith(number) for code in EMERGENCY):
        return True
    return country is not None and phonenumbers.is_emergency_number(number, country)


def is_service(number: str) -> bool:
    """Return whether the public network answers this number as a service code."""
    return number in SERVICES
