"""Runs the tools and the sessions of the JavaScript clients, from the packages of this lane."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.contract.served import Served
from tests.docs.pages import ROOT
from tests.harness import CUSTOMER, LEAD
from tests.needs import needs, needs_packages

LANE = Path(__file__).parent
GENERATED = LANE / "__generated__"


def ran(tool: str, *arguments: str, folder: Path = LANE) -> "subprocess.CompletedProcess[str]":
    """Run a tool of the lane's packages in a folder."""
    needs_packages(LANE)
    command = [str(LANE / "node_modules" / ".bin" / tool), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def run(tool: str, *arguments: str) -> None:
    """Run a tool in the folder of the lane. Fails the test if the tool fails."""
    ended = ran(tool, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def reported(server: Served, session: str, *arguments: str) -> Any:
    """Run a session, a program for Node.js, and return what it reports."""
    warning = "--conditions=development"  # the builds of the libraries that warn
    ended = subprocess.run(
        [needs("node"), warning, str(GENERATED / "bundled" / f"{session}.mjs"), *arguments],
        cwd=ROOT,  # where the modules of the pages find schema.graphql
        env={**os.environ, "LEAD_TOKEN": server.token(LEAD), "CUSTOMER_TOKEN": server.token(CUSTOMER)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
