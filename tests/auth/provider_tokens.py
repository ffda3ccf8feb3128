"""Tokens as identity providers shape them: for each, the header's type and the claims of access and ID tokens.

The names of the claims are the providers'; the values are made here. All are for this API by its issuer, also the ID
tokens: that is so where the API is registered as the client that people sign in with.
"""

from typing import Any

from .auth_builders import AUDIENCE, GONE, ISSUER, NOW

TIMES = {"iat": NOW - 60, "exp": NOW + 600}
OURS = {"iss": ISSUER, "aud": AUDIENCE, **TIMES}
CLIENT = "5f6c1c1e-8d6f-4a0b-9f55-0d4f3c1b2a10"

_KEYCLOAK = {
    "sub": "0f5d1c1e-52a8-4f0c-8f8e-3f0a6d1c9b7e",
    "jti": "onrtac:8d6f4a0b",
    "azp": "turnup-web",
    "sid": "b5b6a9a2-5a3f-4b57-8c86-5e4c1d0a9f31",
    "acr": "1",
    "email": "lena@example.com",
    "email_verified": True,
    "preferred_username": "lena",
}
_ENTRA = {
    "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
    "oid": "00000000-0000-0000-66f3-3332eca7ea81",
    "tid": "9122040d-6c67-4c5b-b112-36a304b66dad",
    "uti": "Lv5Zs1B3kUOaJ8uH4hYUAA",
    "rh": "0.AXEA",
    "nbf": NOW - 60,
    "name": "Lena Ortiz",
    "roles": ["Turnup.Use"],
}
_OKTA = {"ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "auth_time": NOW - 70}
_PERSON_OF_AUTH0 = {"sub": "auth0|5f7c8ec7c33c6c004bbafe82"}
_GOOGLE = {
    "sub": "110169484474386276334",
    "azp": "1234987819200.apps.googleusercontent.com",
    "email": "lena@example.com",
    "email_verified": True,
}

# The header's typ (GONE: there is none), and the claims.
Token = tuple[object, dict[str, Any]]

ACCESS_TOKENS: dict[str, Token] = {
    "Keycloak, a person": (
        "JWT",
        {**_KEYCLOAK, "typ": "Bearer", "scope": "openid email", "aud": [AUDIENCE, "account"]},
    ),
    "Keycloak, a machine": ("JWT", {**_KEYCLOAK, "typ": "Bearer", "scope": "email", "client_id": "turnup-robot"}),
    "Entra ID 2.0, a person": ("JWT", {**_ENTRA, "ver": "2.0", "azp": CLIENT, "azpacr": "1", "scp": "access"}),
    "Entra ID 2.0, a machine": ("JWT", {**_ENTRA, "ver": "2.0", "azp": CLIENT, "azpacr": "1", "idtyp": "app"}),
    "Entra ID 1.0, a person": ("JWT", {**_ENTRA, "ver": "1.0", "appid": CLIENT, "appidacr": "1", "scp": "access"}),
    "Entra ID 1.0, a machine": ("JWT", {**_ENTRA, "ver": "1.0", "appid": CLIENT, "appidacr": "1"}),
    "Auth0, a person": (
        "JWT",
        {**_PERSON_OF_AUTH0, "aud": [AUDIENCE, "https://x.eu.auth0.com/userinfo"], "azp": CLIENT, "scope": "openid"},
    ),
    "Auth0, a machine": ("JWT", {"sub": f"{CLIENT}@clients", "azp": CLIENT, "gty": "client-credentials"}),
    "Okta, a person": (GONE, {**_OKTA, "sub": "lena@example.com", "cid": CLIENT, "uid": "00u1", "scp": ["openid"]}),
    "Okta, a machine": (GONE, {**_OKTA, "sub": CLIENT, "cid": CLIENT, "scp": ["turnup"]}),
    "Amazon Cognito, a person": (
        GONE,
        {"sub": _KEYCLOAK["sub"], "client_id": CLIENT, "token_use": "access", "scope": "openid", "username": "lena"},
    ),
    "RFC 9068 without its type": ("JWT", {"sub": "user-7", "client_id": CLIENT, "jti": "1"}),
}
"""What an issuer of access tokens sends without the type of RFC 9068."""

ID_TOKENS: dict[str, Token] = {
    "Keycloak": ("JWT", {**_KEYCLOAK, "typ": "ID", "at_hash": "ksnsmxLbOWcNaLfPUfxVXA", "auth_time": NOW - 70}),
    "Keycloak, with little in it": ("JWT", {"sub": _KEYCLOAK["sub"], "typ": "ID", "azp": "turnup-web"}),
    "Keycloak, to refresh": (
        "JWT",
        {"sub": _KEYCLOAK["sub"], "typ": "Refresh", "azp": "turnup-web", "scope": "openid"},
    ),
    "Keycloak, a session that stays": ("JWT", {"sub": _KEYCLOAK["sub"], "typ": "Offline", "scope": "openid"}),
    "Entra ID 2.0": ("JWT", {**_ENTRA, "ver": "2.0", "nonce": "678910"}),
    "Entra ID 2.0, without a nonce": ("JWT", {**_ENTRA, "ver": "2.0"}),
    "Entra ID 1.0": ("JWT", {**_ENTRA, "ver": "1.0", "unique_name": "lena@example.com"}),
    "Auth0": ("JWT", {**_PERSON_OF_AUTH0, "nonce": "n-0S6_WzA2Mj", "sid": "s", "name": "Lena"}),
    "Auth0, without a nonce": ("JWT", {**_PERSON_OF_AUTH0, "sid": "s", "name": "Lena", "email": "lena@example.com"}),
    "Okta": (GONE, {**_OKTA, "sub": "00u1", "amr": ["pwd"], "idp": "00o1", "at_hash": "preyLDePHyT3FDRD6bKXrg"}),
    "Google": ("JWT", {**_GOOGLE, "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "hd": "example.com"}),
    "Google, a service account": ("JWT", {**_GOOGLE, "email": "robot@example.iam.gserviceaccount.com"}),
    "Amazon Cognito": (GONE, {"sub": _KEYCLOAK["sub"], "token_use": "id", "client_id": CLIENT, "auth_time": NOW}),
    "a hybrid sign-in": ("JWT", {"sub": "user-7", "c_hash": "LDktKdoQak3Pk0cnXxCltA", "scope": "openid"}),
    "the least that OpenID Connect asks for": ("JWT", {"sub": "user-7"}),
    "a nonce beside a scope": ("JWT", {"sub": "user-7", "nonce": "n", "scope": "openid"}),
    "an empty nonce": ("JWT", {"sub": "user-7", "nonce": None, "scope": "openid"}),
}
"""What an issuer signs with the same key that is no access token."""
