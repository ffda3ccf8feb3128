"""Phone numbers: stored as written, together with their E.164 form when they have one."""

from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

MOST_DIGITS = 15  # ITU-T E.164, country code included


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A phone number: `raw` as written; `e164` as ITU-T E.164 formats it (`+12125550101`), or None."""

    raw: str
    e164: str | None


def read_phone(text: str, *, country: str | None) -> PhoneNumber:
    """Parse a number. Without a `+` it is read as dialled within `country` (ISO 3166-1 alpha-2).

    A number has an E.164 form when its length fits its country's numbering plan and the 15 digits of E.164, and it has
    no extension. The check does not ask whether the number range is in use: new ranges open faster than any table of
    them is updated.
    """
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException:
        return PhoneNumber(text, None)
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return PhoneNumber(text, None)
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if number.extension or len(e164) > 1 + MOST_DIGITS:
        return PhoneNumber(text, None)
    return PhoneNumber(text, e164)


def is_country(code: str) -> bool:
    """Return whether the code is an ISO 3166-1 alpha-2 country or territory with a numbering plan."""
    return code in phonenumbers.SUPPORTED_REGIONS
