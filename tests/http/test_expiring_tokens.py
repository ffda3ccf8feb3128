"""A service token that expires soon is warned of in each response, and in the log once a day."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app import expiring_tokens
from app.domain.credential import CredentialKind
from app.domain.viewer import Viewer
from app.expiring_tokens import FIELD, ExpiringTokens
from tests.domain.builders import a_lead

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


def using(days: float, *, kind: CredentialKind = CredentialKind.SERVICE_TOKEN, token: str = "token-1") -> Viewer:
    expires_at = NOW + timedelta(days=days)
    return replace(a_lead(), credential_kind=kind, credential_id=token, credential_expires_at=expires_at)


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    found = [record.__dict__ for record in caplog.records if record.getMessage() == "token_expiry.noticed"]
    return [tuple(each[name] for name in ("object_id", "user_id", "role", "expires_at")) for each in found]


def test_the_response_says_when_a_token_expires_that_has_less_than_14_days_left() -> None:
    warnings = ExpiringTokens(clock=Clock())
    assert warnings.fields_for(using(13)) == {FIELD: "Sun, 13 Dec 2026 12:00:00 GMT"}
    assert warnings.fields_for(using(13.999)) != {}
    assert warnings.fields_for(using(14)) == {}


def test_sessions_access_tokens_and_refused_requests_are_not_warned_of() -> None:
    warnings = ExpiringTokens(clock=Clock())
    assert [warnings.fields_for(each) for each in (None, a_lead(), using(1, kind=CredentialKind.SESSION))] == [{}] * 3


def test_each_token_is_logged_once_a_day_without_its_secret(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    warnings = ExpiringTokens(clock=clock)
    with caplog.at_level(logging.WARNING):
        for token in ("token-1", "token-1", "token-2"):
            warnings.fields_for(using(3, token=token))
        assert logged(caplog) == [
            (token, "user-lead", "IMPLEMENTATION_LEAD", "2026-12-03T12:00:00+00:00") for token in ("token-1", "token-2")
        ]
        clock.now = NOW + timedelta(days=1)
        warnings.fields_for(using(3))
        assert len(logged(caplog)) == 3


def test_only_so_many_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(expiring_tokens, "MOST_TOKENS", 2)
    warnings = ExpiringTokens(clock=Clock())
    with caplog.at_level(logging.WARNING):
        for token in ("token-1", "token-2", "token-3", "token-1"):
            warnings.fields_for(using(3, token=token))
    assert len(logged(caplog)) == 4
