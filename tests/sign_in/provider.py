"""The certified OpenID provider `oidc-provider` in a process of its own, and the clients that ask it for tokens."""

import base64
import hashlib
import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx

from app.http.sign_in_paths import LOGIN
from tests.needs import needs, needs_packages

LANE = Path(__file__).parent
AUDIENCE = "https://api.example.com"
"""The API, as clients name it when they ask for a token (RFC 8707): the audience of the token."""
TURNUP = ("turnup", "secret-of-turnup")
"""The client id and the secret of the server that people sign in to."""
MACHINE = ("machine", "secret-of-machine")
APP_ADDRESS = "http://127.0.0.1/app"


@dataclass(frozen=True)
class Provider:
    """The running provider."""

    issuer: str
    process: "subprocess.Popen[str]"

    def set(self, **changes: Any) -> None:
        """Change settings of provider.mjs."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(changes)}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def app_tokens(self, name: str) -> Mapping[str, Any]:
        """The tokens of an app with which somebody signs in, by an authorization code with PKCE."""
        verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": "app",
            "response_type": "code",
            "redirect_uri": APP_ADDRESS,
            "scope": "openid email",
            "resource": AUDIENCE,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = self.way_back(f"{self.issuer}/auth?{urlencode(asked)}", APP_ADDRESS, name)
        (code,) = parse_qs(urlsplit(address).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": APP_ADDRESS}
        return self._tokens({**form, "code_verifier": verifier, "client_id": "app"})

    def way_back(self, url: str, home: str, name: str) -> str:
        """The address below `home` to which the provider sends a browser that somebody signs in with at `url`."""
        with httpx.Client(trust_env=False) as browser:
            response = browser.get(url)
            while not (address := urljoin(str(response.url), response.headers["location"])).startswith(home):
                response = browser.get(address)
                if response.status_code == 200:
                    response = browser.post(address, data={"name": name})
        return address

    def sign_in(self, browser: httpx.Client, name: str, path: str = LOGIN) -> httpx.Response:
        """The answer to the callback, after somebody signed in to the server with a browser without JavaScript."""
        began = browser.get(path)
        return browser.get(self.way_back(began.headers["location"], str(browser.base_url), name))

    def refreshed(self, refresh_token: str) -> Mapping[str, Any]:
        """The tokens of the app for a refresh token."""
        return self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": "app"})

    def _tokens(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        response = httpx.post(f"{self.issuer}/token", data={**form, "resource": AUDIENCE}, trust_env=False)
        assert response.status_code == 200, response.text
        tokens: Mapping[str, Any] = response.json()
        return tokens


@contextmanager
def running_provider(people: Mapping[str, Mapping[str, Any]]) -> Iterator[Provider]:
    """The provider with these people: their claims, by subject."""
    needs_packages(LANE)
    command = [needs("node"), str(LANE / "provider.mjs"), json.dumps(people)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Provider(process.stdout.readline().strip(), process)
        finally:
            process.terminate()
