"""Call flow: every call must reach a target, and every menu option must be selectable."""

from collections import Counter
from collections.abc import Iterator

from app.domain.content import CallFlow, CallFlowOption, LocationContent, Target
from app.domain.content_document import options_in_order, with_places
from app.domain.issue import Issue
from app.domain.readiness.findings import issue
from app.domain.readiness.outside import Outside
from app.domain.vocabulary import CallFlowKind, CallTarget, IssueCode


def present(content: LocationContent, _: Outside) -> Iterator[Issue]:
    if content.call_flow is None:
        yield issue(IssueCode.CALL_FLOW_MISSING, "/callFlow")


def direct(content: LocationContent, _: Outside) -> Iterator[Issue]:
    flow = content.call_flow
    if flow and flow.kind is CallFlowKind.DIRECT and not flow.direct_targets:
        yield issue(IssueCode.DIRECT_WITHOUT_TARGET, "/callFlow/directTargets")


def direct_targets(content: LocationContent, _: Outside) -> Iterator[Issue]:
    known = {extension.id for extension in content.extensions}
    for position, target in enumerate(content.call_flow.direct_targets if content.call_flow else ()):
        if target not in known:
            yield issue(IssueCode.TARGET_DANGLING, f"/callFlow/directTargets/{position}", target="an extension")


def menu(content: LocationContent, _: Outside) -> Iterator[Issue]:
    flow = _menu(content)
    if flow is None:
        return
    if not flow.options:
        yield issue(IssueCode.IVR_WITHOUT_OPTION, "/callFlow/options")
    if not flow.greeting:
        yield issue(IssueCode.IVR_GREETING_MISSING, "/callFlow/greeting")
    if flow.timeout_target is None:
        yield issue(IssueCode.IVR_TIMEOUT_TARGET_MISSING, "/callFlow/timeoutTarget")
    if flow.invalid_target is None:
        yield issue(IssueCode.IVR_INVALID_TARGET_MISSING, "/callFlow/invalidTarget")


def keys(content: LocationContent, _: Outside) -> Iterator[Issue]:
    flow = _menu(content)
    counts = Counter(option.digit for option in flow.options) if flow else Counter[str]()
    for digit, count in sorted(counts.items()):
        path = f"/callFlow/options/{digit}"
        if count > 1:
            yield issue(IssueCode.IVR_DIGIT_TWICE, path, digit=digit, count=count)
        for length in range(1, len(digit)):
            if digit[:length] in counts:
                yield issue(IssueCode.IVR_OPTION_UNREACHABLE, path, digit=digit, prefix=digit[:length])


def targets(content: LocationContent, _: Outside) -> Iterator[Issue]:
    flow = _menu(content)
    for path, target in _targets(flow) if flow else ():
        if _is_missing(target, content):
            yield issue(IssueCode.TARGET_DANGLING, path, target=_IN_WORDS[target.kind])
        elif target.kind is CallTarget.VOICEMAIL and not _takes_messages(target, content):
            yield issue(IssueCode.TARGET_WITHOUT_VOICEMAIL, path)
        elif target.kind is CallTarget.EXTERNAL_NUMBER and not target.external_number_e164:
            yield issue(IssueCode.DIALLED_NUMBER_NOT_E164, f"{path}/externalNumber", phone=target.external_number)


RULES = (present, direct, direct_targets, menu, keys, targets)

_IN_WORDS = {
    CallTarget.EXTENSION: "an extension",
    CallTarget.VOICEMAIL: "the mailbox of an extension",
    CallTarget.EXTERNAL_NUMBER: "an external number",
}


def _menu(content: LocationContent) -> CallFlow | None:
    """The call flow if it has a menu: a DIRECT call flow hands over none, even if the location has one from before."""
    flow = content.call_flow
    return flow if flow and flow.kind is CallFlowKind.IVR else None


def _targets(flow: CallFlow) -> Iterator[tuple[str, Target]]:
    for place, option in with_places(options_in_order(flow.options), _digit):
        yield f"/callFlow/options/{place}/target", option.target
    if flow.timeout_target:
        yield "/callFlow/timeoutTarget", flow.timeout_target
    if flow.invalid_target:
        yield "/callFlow/invalidTarget", flow.invalid_target


def _digit(option: CallFlowOption) -> str:
    return option.digit


def _is_missing(target: Target, content: LocationContent) -> bool:
    match target.kind:
        case CallTarget.EXTENSION:
            return not _is_extension(target.extension_id, content)
        case CallTarget.VOICEMAIL:
            return target.extension_id is not None and not _is_extension(target.extension_id, content)
        case CallTarget.EXTERNAL_NUMBER:
            return not target.external_number
        case CallTarget.HANG_UP:
            return False


def _is_extension(identifier: str | None, content: LocationContent) -> bool:
    return any(extension.id == identifier for extension in content.extensions)


def _takes_messages(target: Target, content: LocationContent) -> bool:
    """Return whether a mailbox takes the call: voicemail is on for the location and for the extension's person."""
    if content.phone_system is None or not content.phone_system.voicemail:
        return False
    holders = {extension.person_id for extension in content.extensions if extension.id == target.extension_id}
    return all(person.voicemail for person in content.people if person.id in holders)
