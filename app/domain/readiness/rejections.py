"""Issues that a partner reported for exactly this content, at their places in the content."""

from collections.abc import Iterator

from app.domain.content import LocationContent
from app.domain.digest import content_digest
from app.domain.issue import Issue
from app.domain.payload_paths import content_paths
from app.domain.readiness.findings import issue
from app.domain.readiness.outside import Outside
from app.domain.vocabulary import IssueCode


def rejected(content: LocationContent, outside: Outside) -> Iterator[Issue]:
    rejection = outside.rejection
    if rejection is None or rejection.content_digest != content_digest(content):
        return
    paths = content_paths(content, [reason.path for reason in rejection.reasons])
    for path, reason in zip(paths, rejection.reasons, strict=True):
        yield issue(IssueCode.REJECTED_BY_PARTNER, path, code=reason.code, message=reason.message)


RULES = (rejected,)
