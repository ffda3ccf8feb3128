"""In production no server starts on a database whose triggers, policies, functions or grants somebody changed."""

import json
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from app import cli
from app.audit.objects import DatabaseChanged
from app.settings import ChangedObjectsPolicy, Environment, Settings
from tests.harness import EMPTY_TEMPLATE, TestDatabase, own_database

from .turnup import free_port, run

NAMED = 'trigger audit_capture_update on turnup.device: enabled is "D", not "O"'


async def disabled(database: TestDatabase) -> None:
    """Disable a trigger of the audit log."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("ALTER TABLE turnup.device DISABLE TRIGGER audit_capture_update")
    await owner.close()


def settings(database: TestDatabase, **changes: object) -> Settings:
    return Settings(database_url=SecretStr(database.app_url)).model_copy(update=changes)


async def test_production_refuses_to_start_and_names_the_change_in_one_line(tmp_path: Path) -> None:
    async with own_database(EMPTY_TEMPLATE) as database:
        await disabled(database)
        ended = run(
            "serve",
            PORT=str(free_port()),
            TURNUP_HOME=str(tmp_path / "home"),
            TURNUP_ENV="production",
            DATABASE_URL=database.app_url,
            TURNUP_JWKS_URL="https://issuer.example/keys",
            TURNUP_ISSUER="https://issuer.example",
            TURNUP_AUDIENCE="https://turnup.example.com",
        )
    assert ended.returncode == 1
    (line,) = map(json.loads, ended.stderr.splitlines())
    assert line["level"] == "error"
    assert line["message"].startswith(f"the database is not as the migrations make it: {NAMED}")


async def test_development_warns_and_a_setting_decides_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    async with own_database(EMPTY_TEMPLATE) as database:
        await cli._checked(database.app_url, settings(database))
        assert capsys.readouterr().err == ""
        await disabled(database)
        await cli._checked(database.app_url, settings(database))
        assert f"turnup: warning: the database is not as the migrations make it: {NAMED}" in capsys.readouterr().err
        with pytest.raises(DatabaseChanged):
            await cli._checked(database.app_url, settings(database, changed_objects=ChangedObjectsPolicy.REFUSE))
        production = settings(database, env=Environment.PRODUCTION)  # from now on, the database is a production one
        with pytest.raises(DatabaseChanged):
            await cli._checked(database.app_url, production)
        warns = production.model_copy(update={"changed_objects": ChangedObjectsPolicy.WARN})
        await cli._checked(database.app_url, warns)
        assert "turnup: warning: " in capsys.readouterr().err
