"""Phone system: a main number that can be dialled, and a caller-ID name that networks transmit."""

from collections.abc import Iterator

from app.domain.content import LocationContent
from app.domain.issue import Issue
from app.domain.readiness.findings import issue
from app.domain.readiness.outside import Outside
from app.domain.vocabulary import IssueCode

# The caller-id name of North American networks has fifteen characters (Telcordia GR-1188-CORE, CNAM).
LONGEST_CALLER_ID_NAME = 15


def present(content: LocationContent, _: Outside) -> Iterator[Issue]:
    if content.phone_system is None:
        yield issue(IssueCode.PHONE_SYSTEM_MISSING, "/phoneSystem")


def main_number(content: LocationContent, _: Outside) -> Iterator[Issue]:
    system = content.phone_system
    if system is None:
        return
    if not system.main_number:
        yield issue(IssueCode.MAIN_NUMBER_MISSING, "/phoneSystem/mainNumber")
    elif not system.main_number_e164:
        yield issue(IssueCode.DIALLED_NUMBER_NOT_E164, "/phoneSystem/mainNumber", phone=system.main_number)


def caller_id_name(content: LocationContent, _: Outside) -> Iterator[Issue]:
    name = (content.phone_system and content.phone_system.caller_id_name) or ""
    if len(name) > LONGEST_CALLER_ID_NAME:
        yield issue(
            IssueCode.CALLER_ID_NAME_TOO_LONG,
            "/phoneSystem/callerIdName",
            length=len(name),
            longest=LONGEST_CALLER_ID_NAME,
        )


RULES = (present, main_number, caller_id_name)
