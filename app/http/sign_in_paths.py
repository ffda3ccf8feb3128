"""The paths of browser sign-in."""

LOGIN, CALLBACK, LOGOUT = "/auth/login", "/auth/callback", "/auth/logout"
SIGNED_IN, SIGNED_OUT = "/auth/signed-in", "/auth/signed-out"
PATHS = frozenset({LOGIN, CALLBACK, LOGOUT, SIGNED_IN, SIGNED_OUT})
