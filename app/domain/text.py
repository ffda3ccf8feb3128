"""Rules for all text input: which characters are accepted, the stored form, and the length limits.

Text is stored in NFC, trimmed, and measured in characters (Unicode code points). Text of more than four times as many
code points as its maximum is refused before that work. InvalidInput is raised here only for text that cannot be stored;
whether a value makes sense is decided by readiness.
"""

import re
import unicodedata
from dataclasses import dataclass
from types import MappingProxyType

from app.domain.refusals import InvalidInput


@dataclass(frozen=True, slots=True)
class Form:
    """A pattern that the whole text must match, and the message when it does not."""

    pattern: re.Pattern[str]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRule:
    """The rule of a field: at most `longest` characters and, in a given value, at least `least_visible` visible ones.

    The text may span several lines (`several_lines`), consist of visible characters and spaces alone
    (`only_visible`), or have to match a `form`.
    """

    longest: int
    least_visible: int = 0
    several_lines: bool = False
    only_visible: bool = False
    form: Form | None = None


CONTROL_CHARACTERS = "must not contain control characters, text-direction controls or unpaired surrogates"

_COUNTRY = Form(re.compile("[A-Z]{2}"), "must be two capital letters (ISO 3166-1 alpha-2)")
_PREFIX = Form(re.compile("[0-9*#]{1,4}"), "must be one to four of the keys 0-9, * and #")
_DIGIT = Form(re.compile("[0-9*#]{1,2}"), "must be one or two of the keys 0-9, * and #")
_ISSUER = Form(re.compile("[!-~]*"), "must consist of visible ASCII characters without spaces")
_POINTER = Form(re.compile("(/.*)?", re.DOTALL), "must be a JSON pointer (RFC 6901)")

_NAME = TextRule(longest=120)
_NUMBER = TextRule(longest=40)
_EMAIL = TextRule(longest=254)  # the limits of RFC 5321 leave 254 characters for an address
_REASON = TextRule(longest=1000, several_lines=True)

RULES = MappingProxyType(
    {
        "account.name": _NAME,
        "user.name": _NAME,
        "user.email": _EMAIL,
        "user.subject": TextRule(longest=255),
        "user.issuer": TextRule(longest=255, form=_ISSUER),
        "serviceToken.name": _NAME,
        "location.name": _NAME,
        "location.timezone": TextRule(longest=64),
        "location.siteCode": TextRule(longest=32, only_visible=True),
        "address.line1": TextRule(longest=200),
        "address.line2": TextRule(longest=200),
        "address.city": _NAME,
        "address.state": _NAME,
        "address.zipcode": TextRule(longest=20),
        "address.country": TextRule(longest=2, form=_COUNTRY),
        "contact.fullName": _NAME,
        "contact.email": _EMAIL,
        "contact.phone": _NUMBER,
        "phoneSystem.mainNumber": _NUMBER,
        "phoneSystem.callerIdName": TextRule(longest=60),
        "phoneSystem.provider": _NAME,
        "phoneSystem.outboundPrefix": TextRule(longest=4, form=_PREFIX),
        "device.model": TextRule(longest=60),
        "device.macAddress": _NUMBER,
        "device.serialNumber": TextRule(longest=60),
        "device.label": TextRule(longest=60),
        "person.firstName": _NAME,
        "person.lastName": _NAME,
        "person.email": _EMAIL,
        "person.mobile": _NUMBER,
        "extension.number": TextRule(longest=16),
        "extension.label": TextRule(longest=60),
        "callFlow.greeting": TextRule(longest=2000, several_lines=True),
        "callFlow.digit": TextRule(longest=2, form=_DIGIT),
        "target.externalNumber": _NUMBER,
        "approval.comment": _REASON,
        "transition.reason": _REASON,
        "transition.reasonForCustomer": _REASON,
        "transition.reasonForPartner": _REASON,
        "override.reason": TextRule(longest=1000, least_visible=10, several_lines=True),
        "override.ticket": TextRule(longest=120),
        "decommission.reason": _REASON,
        "rejection.path": TextRule(longest=512, form=_POINTER),
        "rejection.code": TextRule(longest=64),
        "rejection.message": _REASON,
        "deviceModel.name": TextRule(longest=60),
        "deviceModel.maker": TextRule(longest=60),
        "deviceModel.source": TextRule(longest=200),
        "search.name": _NAME,
        "idempotencyKey": TextRule(longest=255),
    }
)

# The characters with the Unicode property Bidi_Control: invisible, they make text display differently from what is
# stored.
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = frozenset("\n\u2028\u2029")
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
# Rendered blank although Unicode classifies them as letters or symbols: Hangul fillers and the empty braille pattern.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
# Marks that display nothing themselves (Default_Ignorable_Code_Point): the grapheme joiner, inherent vowels of Khmer,
# and variation selectors.
_IGNORABLE_MARKS = frozenset(
    map(chr, (0x034F, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)

# A character in NFC is written with at most four code points (Unicode, maximum expansion factor of NFD). Longer text is
# refused before it is normalised, because the time of normalisation grows with the length.
MOST_CODE_POINTS = 4


def clean(field: str, text: str | None, *, path: tuple[str, ...] = ()) -> str | None:
    """Return the text as it is stored, or None when it has no visible character.

    `field` names the rule. Raises InvalidInput for control characters, bidirectional controls and lone surrogates, for
    text that is too long, has too few visible characters or does not match its form; KeyError for a field without a
    rule.
    """
    rule = RULES[field]
    if text is not None and len(text) > MOST_CODE_POINTS * rule.longest:
        raise InvalidInput(field=field.rpartition(".")[2], rule=_too_long(rule), path=path)
    kept = _trimmed(text or "", rule)
    broken = _broken_rule(kept, rule)
    if broken:
        raise InvalidInput(field=field.rpartition(".")[2], rule=broken, path=path)
    return kept if visible_length(kept) else None


def given(field: str, text: str | None, *, path: tuple[str, ...] = ()) -> str:
    """Like `clean`, for a required field: also raises InvalidInput when the text has no visible character."""
    kept = clean(field, text, path=path)
    if kept is None:
        raise InvalidInput(field=field.rpartition(".")[2], rule="must not be empty", path=path)
    return kept


def visible_length(text: str) -> int:
    """Count the visible characters: without white space, controls, format characters and blank letters."""
    return sum(map(_is_visible, text))


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE_CATEGORIES and character not in _BLANK_LETTERS


def _trimmed(text: str, rule: TextRule) -> str:
    lines = text.replace("\r\n", "\n") if rule.several_lines else text
    return unicodedata.normalize("NFC", lines).strip()


def _broken_rule(text: str, rule: TextRule) -> str | None:
    if any(_is_forbidden(character, rule) for character in text):
        return CONTROL_CHARACTERS
    if rule.only_visible and visible_length(text) and any(_hides(character) for character in text):
        return "must not contain invisible characters other than spaces"
    if len(text) > rule.longest:
        return _too_long(rule)
    if 0 < visible_length(text) < rule.least_visible:
        return f"must have at least {rule.least_visible} visible characters"
    if rule.form and text and not rule.form.pattern.fullmatch(text):
        return rule.form.sentence
    return None


def _too_long(rule: TextRule) -> str:
    return f"must have at most {rule.longest} characters"


def _hides(character: str) -> bool:
    """Whether two texts that differ in this character alone can look the same."""
    return character != " " and (not _is_visible(character) or character in _IGNORABLE_MARKS)


def _is_forbidden(character: str, rule: TextRule) -> bool:
    if character in _LINE_BREAKS or character == "\t":
        return not rule.several_lines
    return character in _BIDI_CONTROLS or unicodedata.category(character) in {"Cc", "Cs"}
