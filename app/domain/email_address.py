"""Syntax check of e-mail addresses, without network access."""

from functools import lru_cache

from email_validator import EmailNotValidError, validate_email


@lru_cache(maxsize=4096)
def is_email(text: str) -> bool:
    """Return whether the text is an address that internet mail can be sent to (RFC 5322, RFC 6531)."""
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True
