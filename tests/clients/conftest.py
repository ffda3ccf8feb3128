"""Builds the clients as their projects do: generated code, manifests of trusted documents, and bundles."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.contract.served import Served, served, served_from
from tests.docs.pages import client_pages
from tests.needs import needs_packages

from .programs import GENERATED, LANE, run

MODULE = re.compile(r"^```js\n// (?P<name>\w+\.mjs)\n(?P<code>.*?)^```\n", re.MULTILINE | re.DOTALL)
SESSIONS = ("apollo", "apolloTrusted", "relay", "relayTrusted", "urql", "urqlTrusted")
MANIFESTS = ("apollo.json", "codegen/persisted-documents.json", "relay-compiler.json")
FOR_NODE = ("--platform=node", "--packages=external", "--out-extension:.js=.mjs")
BUNDLED = ("--bundle", "--format=esm", "--loader:.graphql=text", "--log-level=warning", f"--outdir={GENERATED}/bundled")


@pytest.fixture(scope="package")
def built() -> None:
    """The modules that the pages for clients print, what each client's compiler writes, and the bundled sessions."""
    needs_packages(LANE)
    shutil.rmtree(GENERATED, ignore_errors=True)  # relay-compiler adds only new artifacts to a manifest
    GENERATED.mkdir()
    for found in MODULE.finditer(client_pages()):
        (GENERATED / found["name"]).write_text(found["code"], encoding="utf-8")
    manifest = GENERATED / "relay-compiler.json"
    manifest.write_text("{}")  # relay-compiler creates no manifest
    run("relay-compiler", "--noWatchman", "--output", "quiet-with-errors", "relay.config.json")
    listed = {key: text for key, text in json.loads(manifest.read_text()).items() if "UnlistedQuery" not in text}
    manifest.write_text(json.dumps(listed))
    run("graphql-codegen", "--config", "codegen.mjs")
    run("generate-persisted-query-manifest")
    run("esbuild", *(f"{session}.mjs" for session in SESSIONS), *FOR_NODE, *BUNDLED)
    run("esbuild", "otherOrigin.mjs", *BUNDLED)


@pytest.fixture(scope="package")
def other_origin(built: None) -> Iterator[str]:
    """The origin of a server of static files that serves the bundles."""
    handler = partial(SimpleHTTPRequestHandler, directory=GENERATED / "bundled")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="package")
def servers(other_origin: str) -> Iterator[Mapping[str, Served]]:
    """A server per mode of trusted documents, all on one database.

    All allow the other origin, and those with trusted documents the header fields of Apollo Client.
    """
    origin = {"TURNUP_CORS_ORIGINS": other_origin}
    trusting = {
        **origin,
        "TURNUP_CORS_HEADERS": "apollographql-client-name,apollographql-client-version",
        "TURNUP_TRUSTED_DOCUMENTS_FILES": os.pathsep.join(str(GENERATED / name) for name in MANIFESTS),
    }
    with served(**origin) as off, ExitStack() as stack:
        modes = ("prefer", "only")
        others = {
            mode: stack.enter_context(served_from(off.home, **trusting, TURNUP_TRUSTED_DOCUMENTS=mode))
            for mode in modes
        }
        yield {"off": off, **others}
