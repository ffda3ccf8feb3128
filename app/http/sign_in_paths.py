"""The paths of browser sign-in, and the path under which a proxy serves this server."""

import re

LOGIN, CALLBACK, LOGOUT = "/auth/login", "/auth/callback", "/auth/logout"
SIGNED_IN, SIGNED_OUT = "/auth/signed-in", "/auth/signed-out"
PATHS = frozenset({LOGIN, CALLBACK, LOGOUT, SIGNED_IN, SIGNED_OUT})

SEGMENT = "[A-Za-z0-9_-][A-Za-z0-9._-]*"
"""A segment of a path. It is not empty, does not begin with a dot, and has nothing encoded: no browser or proxy that
resolves or decodes the path takes a part of it for a host."""
_PREFIX = re.compile(rf"(?:/{SEGMENT})*")


def split_public_url(url: str) -> tuple[str, str]:
    """Return the origin of the public URL, and its path, which a proxy removes from the paths of requests.

    The path is empty if the server has its origin for itself. It has no slash at its end.
    """
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority}", slash + path


def is_path_prefix(path: str) -> bool:
    """Return whether a text is a path that a public URL can have."""
    return _PREFIX.fullmatch(path) is not None
