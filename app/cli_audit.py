"""The command line of the audit log: turnup audit verify | heads | replay | erase.

All commands sign in as the owner, which may become the definer role; the app's role cannot see enough of the log.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from app.audit.erasure import NotErased, erase_person, erase_reason
from app.audit.heads import UntrustedHeads, load_or_create_key, load_public_key, signed_heads, trusted_heads
from app.audit.replay import replay
from app.audit.verify import Head, heads, snapshot, verify
from app.progress import Progress
from app.settings import Settings

KEY_FILE = "audit-heads.pem"

# Returns a context that yields the database's URL for its owner.
Owner = Callable[[Settings], AbstractContextManager[str]]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", owner: Owner) -> None:
    """Add `audit` and its subcommands."""
    audit = commands.add_parser("audit", help="verify, replay and erase from the audit log")
    kinds = audit.add_subparsers(required=True, metavar="COMMAND")
    key_help = f"Ed25519 key, PEM; else {KEY_FILE} under TURNUP_HOME"

    verifying = kinds.add_parser("verify", help="verify the chains; exit 1 naming the first broken entry")
    verifying.add_argument("--account", metavar="ID", help="only this account's chain, or `system`")
    verifying.add_argument("--heads", type=Path, metavar="FILE", help="signed heads that must be in the chains")
    verifying.add_argument("--key", type=Path, metavar="FILE", help=f"the signer's public {key_help}")
    verifying.set_defaults(run=lambda settings, options: run_verify(settings, options, owner))

    signing = kinds.add_parser("heads", help="write the signed head of every chain")
    signing.add_argument("--out", type=Path, metavar="FILE", help="the output file; default: standard output")
    signing.add_argument("--key", type=Path, metavar="FILE", help=f"the private {key_help}, made on first use")
    signing.set_defaults(run=lambda settings, options: run_heads(settings, options, owner))

    replaying = kinds.add_parser("replay", help="rebuild the tracked tables from the audit log and compare")
    replaying.add_argument("--keep", action="store_true", help="keep the rebuilt tables in the schema turnup_replay")
    replaying.set_defaults(run=lambda settings, options: run_replay(settings, options, owner))

    erasing = kinds.add_parser("erase", help="erase a person, or the reason of an entry, from history")
    erasing.add_argument("id", help="a removed person's or contact's id, a user's id, or an entry's id")
    erasing.add_argument("--reason", required=True, help="the reason, such as the request's number; it is recorded")
    erasing.set_defaults(run=lambda settings, options: run_erase(settings, options, owner))


def run_verify(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Verify the chains and print the counts."""
    signed = None if options.heads is None else _signed(settings, options)

    async def walk(url: str) -> None:
        async with snapshot(url) as connection:
            with Progress("Verifying", "entries") as progress:
                verdict = await verify(connection, chain=options.account, signed=signed, report=progress.report)
        if verdict.broken is not None:
            sys.exit(f"turnup: {verdict.broken}")
        _say(
            f"{verdict.chains} chains, {verdict.entries} entries, {verdict.changes} changes verified"
            f" ({verdict.erased} values erased; {verdict.seconds:.1f} s)"
        )

    with owner(settings) as url:
        asyncio.run(walk(url))


def run_heads(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Write signed heads to a file or to standard output."""
    key = load_or_create_key(options.key or settings.home / KEY_FILE)

    async def read(url: str) -> dict[str, Head]:
        async with snapshot(url) as connection:
            return await heads(connection)

    with owner(settings) as url:
        text = signed_heads(asyncio.run(read(url)), key, at=datetime.now(UTC))
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.write_text(text, encoding="utf-8")


def run_replay(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Rebuild the tables from the log and print the differences."""
    with owner(settings) as url, Progress("Replaying", "tables") as progress:
        found = asyncio.run(replay(url, keep=options.keep, report=progress.report))
    for account in found.skipped:
        _say(f"skipped {account}: loaded unaudited")
    for difference in found.differences:
        _say(difference)
    if found.differences:
        sys.exit("turnup: the tables differ from the audit log")
    _say(f"{found.rows} rows rebuilt, equal to the tables; {found.erased} of their values are erased")


def run_erase(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Erase a person, or the reason of an entry, from history."""
    with owner(settings) as url:
        try:
            if options.id.startswith("entry"):
                asyncio.run(erase_reason(url, options.id, reason=options.reason))
                _say("The reason was erased.")
                return
            erased = asyncio.run(erase_person(url, options.id, reason=options.reason))
        except NotErased as error:
            sys.exit(f"turnup: {error}")
    _say(f"{erased.values} values and {erased.documents} payload documents were erased.")
    if erased.kept:
        _say(
            f"Payloads still in use, not erased yet: {', '.join(erased.kept)}. A server erases each when its use ends."
        )


def _signed(settings: Settings, options: argparse.Namespace) -> dict[str, Head]:
    path = options.key or settings.home / KEY_FILE
    try:
        return trusted_heads(options.heads.read_bytes(), load_public_key(path))
    except UntrustedHeads as error:
        sys.exit(f"turnup: {options.heads}: {error}")
    except OSError as error:
        sys.exit(f"turnup: {error.filename}: {error.strerror}")


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
