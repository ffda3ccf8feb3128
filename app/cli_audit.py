"""The command line of the audit log: turnup audit verify | heads | replay | erase.

All commands sign in as the owner, which may become the definer role; the app's role cannot see enough of the log.
The last signed heads are kept under TURNUP_HOME, and later verifications compare the chains with them.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.audit.erasure import NotErased, erase_person, erase_reason
from app.audit.heads import (
    SignedHeads,
    UntrustedHeads,
    check_signature,
    fingerprint,
    first_lost,
    load_or_create_key,
    load_public_key,
    read_heads,
    signed_heads,
    trusted_heads,
)
from app.audit.objects import changed_objects
from app.audit.replay import replay
from app.audit.result import record_verification
from app.audit.verify import Head, heads, snapshot, verify
from app.db.connecting import connect_as_owner
from app.db.kind import installation
from app.db.migrate import position
from app.domain.events import AUDIT_BROKEN, AUDIT_VERIFIED, DATA_ERASED, Effect
from app.domain.installation import DatabaseKind, Installation
from app.domain.vocabulary import SystemAction
from app.operations.event_log import emit, emit_by_system
from app.progress import Progress
from app.settings import Settings

KEY_FILE = "audit-heads.pem"
LAST_FILE = "audit-heads.json"
"""The file under TURNUP_HOME with the last signed heads."""

# Returns a context that yields the database's URL for its owner.
Owner = Callable[[Settings], AbstractContextManager[str]]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", owner: Owner) -> None:
    """Add `audit` and its subcommands."""
    audit = commands.add_parser("audit", help="verify, replay and erase from the audit log")
    kinds = audit.add_subparsers(required=True, metavar="COMMAND")
    key_help = f"Ed25519 key, PEM; else {KEY_FILE} under TURNUP_HOME"

    verifying = kinds.add_parser("verify", help="verify the chains; exit 1 naming the first broken entry")
    verifying.add_argument("--account", metavar="ID", help="only this account's chain, or `system`")
    verifying.add_argument(
        "--heads",
        type=Path,
        metavar="FILE",
        help=f"signed heads that must be in the chains; else {LAST_FILE} under TURNUP_HOME",
    )
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
    """Compare the objects of the database, verify the chains, print the counts; record the result.

    That of a single chain is recorded only if something was found.
    """
    signed = None if options.heads is None else _signed(settings, options)

    async def walk(url: str) -> None:
        changed = await _changed_objects(url)
        async with snapshot(url) as connection:
            verified_at = await connection.fetchval("SELECT now()")
            last, compared = (None, None) if signed is not None else await _last_of(connection, settings, options)
            known = last if options.account is None or options.account in (last or {}) else None
            with Progress("Verifying", "entries") as progress:
                verdict = await verify(
                    connection, chain=options.account, signed=signed or known, report=progress.report
                )
        is_broken = verdict.broken is not None or changed > 0
        emit(AUDIT_BROKEN if is_broken else AUDIT_VERIFIED, chains=verdict.chains, entries=verdict.entries)
        if verdict.broken is None:
            _say(
                f"{verdict.chains} chains, {verdict.entries} entries, {verdict.changes} changes verified"
                f" ({verdict.erased} values erased; {verdict.seconds:.1f} s)"
            )
            if compared is not None:
                _say(compared)
        found = changed > 0 or (verdict.broken is not None and not verdict.broken.missing)
        if found or options.account is None:
            unrecorded = await record_verification(url, verified_at=verified_at, ok=not is_broken)
            if unrecorded is not None:
                _say(f"The result is not recorded: {unrecorded}")
        if verdict.broken is not None:
            sys.exit(f"turnup: {verdict.broken}")
        _exit_if_changed(changed)

    with owner(settings) as url:
        asyncio.run(walk(url))


def run_heads(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Write signed heads to a file or to standard output, and keep them under TURNUP_HOME.

    Heads that were signed before must still be in the chains: otherwise the new ones would hide what was removed.
    """
    key = load_or_create_key(options.key or settings.home / KEY_FILE)

    async def read(url: str) -> tuple[dict[str, Head], Installation | None]:
        async with snapshot(url) as connection:
            await _check_last(connection, settings)
            return await heads(connection), await installation(connection)

    with owner(settings) as url:
        found, database = asyncio.run(read(url))
    text = signed_heads(found, key, at=datetime.now(UTC), database=database)
    _keep(settings, text)
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.write_text(text, encoding="utf-8")


def run_replay(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Rebuild the tables from the log and print the differences."""
    with owner(settings) as url:
        changed = asyncio.run(_changed_objects(url))
        with Progress("Replaying", "tables") as progress:
            found = asyncio.run(replay(url, keep=options.keep, report=progress.report))
    for account in found.skipped:
        _say(f"skipped {account}: loaded unaudited")
    for difference in found.differences:
        _say(difference)
    if found.differences:
        sys.exit("turnup: the tables differ from the audit log")
    _say(f"{found.rows} rows rebuilt, equal to the tables; {found.erased} of their values are erased")
    _exit_if_changed(changed)


def run_erase(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Erase a person, or the reason of an entry, from history."""
    with owner(settings) as url:
        try:
            if options.id.startswith("entry"):
                asyncio.run(erase_reason(url, options.id, reason=options.reason))
                emit_by_system(DATA_ERASED, SystemAction.ERASE, Effect(object_id=options.id))
                _say("The reason was erased.")
                return
            erased = asyncio.run(erase_person(url, options.id, reason=options.reason))
        except NotErased as error:
            sys.exit(f"turnup: {error}")
    emit_by_system(DATA_ERASED, SystemAction.ERASE, Effect(object_id=options.id), count=erased.values)
    _say(f"{erased.values} values and {erased.documents} payload documents were erased.")
    if erased.kept:
        _say(
            f"Payloads still in use, not erased yet: {', '.join(erased.kept)}. A server erases each when its use ends."
        )


async def _changed_objects(url: str) -> int:
    """Print the objects of the database that are not as the migrations make them; returns their number."""
    connection = await connect_as_owner(url)
    try:
        changed = await changed_objects(connection)
    finally:
        await connection.close()
    if changed is None:
        _say(f"triggers, policies, functions and grants not compared: {await position(url)}")
        return 0
    for each in changed:
        _say(each)
    return len(changed)


def _exit_if_changed(changed: int) -> None:
    if changed:
        sys.exit(f"turnup: {changed} objects of the database are not as the migrations make them")


def _signed(settings: Settings, options: argparse.Namespace) -> dict[str, Head]:
    key = load_public_key(options.key or settings.home / KEY_FILE)
    try:
        return trusted_heads(options.heads.read_bytes(), key)
    except UntrustedHeads as error:
        sys.exit(f"turnup: {options.heads}: {error}")


def _last(settings: Settings) -> tuple[str, SignedHeads] | None:
    """Return the text and the content of the last signed heads. None when there are none."""
    path = settings.home / LAST_FILE
    try:
        text = path.read_text(encoding="utf-8")
        return text, read_heads(text)
    except FileNotFoundError:
        return None
    except UntrustedHeads as error:
        sys.exit(f"turnup: {path}: {error}; move the file away and sign the heads again")
    except OSError as error:
        sys.exit(f"turnup: {path}: {error.strerror}")


async def _last_of(
    connection: Any, settings: Settings, options: argparse.Namespace
) -> tuple[Mapping[str, Head] | None, str]:
    """Return the last signed heads of the database, if there are some, and a line about the comparison."""
    path = settings.home / LAST_FILE
    last = _last(settings)
    if last is None:
        return None, "No signed heads to compare with: sign them with turnup audit heads"
    text, content = last
    if not _is_of(content, await installation(connection), path):
        return None, f"Not compared with {path}: its heads are of a demo database that was replaced"
    try:
        key = load_public_key(options.key or settings.home / KEY_FILE)
        if options.key is None and content.key != fingerprint(key):
            return None, f"Not compared with {path}: another key signed it; give that key with --key"
        check_signature(text, key)
    except FileNotFoundError:
        return None, f"Not compared with {path}: another key signed it; give that key with --key"
    except UntrustedHeads as error:
        sys.exit(f"turnup: {path}: {error}")
    return content.heads, f"Compared with the heads signed at {content.at} ({path})"


async def _check_last(connection: Any, settings: Settings) -> None:
    """Exit when the chains lack a head of the database that was signed before."""
    last = _last(settings)
    path = settings.home / LAST_FILE
    if last is None or not _is_of(last[1], await installation(connection), path):
        return
    lost = await first_lost(connection, last[1].heads)
    if lost is not None:
        sys.exit(
            f"turnup: {lost}: signed at {last[1].at} and no longer in the chain, so nothing was signed: run"
            f" turnup audit verify; after a restore from a backup, move {path} away"
        )


def _is_of(content: SignedHeads, database: Installation | None, path: Path) -> bool:
    """Whether signed heads are of this database; False for those of a demo. Exits for those of another production."""
    if content.database is not None and database is not None and content.database.id == database.id:
        return True
    if content.database is not None and content.database.kind is DatabaseKind.PRODUCTION:
        sys.exit(
            f"turnup: {path}: the heads are of another production database, or this database's mark was changed; use a"
            " TURNUP_HOME for each database"
        )
    return False


def _keep(settings: Settings, text: str) -> None:
    """Write the last signed heads. When this fails, say so: the caller has the heads all the same."""
    path = settings.home / LAST_FILE
    fresh = path.with_suffix(".new")
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        sys.stderr.write(f"turnup: warning: {path}: the signed heads are not kept: {error.strerror}\n")


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
