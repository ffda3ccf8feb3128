"""Telephone numbers: kept as they were written, with their E.164 form beside them where they have one."""

from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

MOST_DIGITS = 15  # ITU-T E.164, country code included


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """`raw` as written; `e164` as ITU-T E.164 writes it (`+12125550101`), None where it has no such form."""

    raw: str
    e164: str | None


def read_phone(text: str, *, country: str | None) -> PhoneNumber:
    """The number as written and in E.164; without a `+` it is read as dialled within `country` (ISO 3166-1 alpha-2).

    A number has an E.164 form when its length fits its country's plan and the 15 digits of E.164, and nothing is to be
    dialled behind it. Whether the range is in use is not asked: new ranges open faster than any table of them.
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
    """Whether the code is an ISO 3166-1 alpha-2 country or territory with a numbering plan."""
    return code in phonenumbers.SUPPORTED_REGIONS
