"""The migration about call-flow targets leaves the targets that are there, and refuses new ones of other locations."""

import asyncpg
import pytest

from app.db.migrate import MIGRATIONS, known, migrate
from tests.harness import own_database

ROWS = """
INSERT INTO turnup.account (id, name) VALUES ('account-a', 'A'), ('account-b', 'B');
INSERT INTO turnup.location (id, account_id, name)
VALUES ('location-a', 'account-a', 'A'), ('location-a2', 'account-a', 'A2'), ('location-b', 'account-b', 'B');
INSERT INTO turnup.extension (id, account_id, location_id, number)
VALUES ('extension-a', 'account-a', 'location-a', '1001'), ('extension-a2', 'account-a', 'location-a2', '1001'),
       ('extension-b', 'account-b', 'location-b', '1001');
INSERT INTO turnup.call_flow (account_id, location_id, kind) VALUES ('account-a', 'location-a', 'DIRECT');
INSERT INTO turnup.device_model (id, brand, model, lines) VALUES ('model-a', 'SNOM', 'D785', 12);
"""
OPTION = """INSERT INTO turnup.call_flow_option (id, account_id, location_id, position, trigger, target, extension_id)
            VALUES ($1, 'account-a', 'location-a', $2, 'DIRECT', 'EXTENSION', $3)"""
OLDER = ["extension-a", "extension-a2", "extension-b", "extension-that-is-gone"]
NOT_VALIDATED = """SELECT conname FROM pg_constraint
                   WHERE connamespace = 'turnup'::regnamespace AND NOT convalidated"""


async def test_targets_that_are_there_stay_and_new_ones_of_another_location_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything = known(MIGRATIONS)
    async with own_database("template1") as place:
        with monkeypatch.context() as patched:
            patched.setattr("app.db.migrate.known", lambda _: tuple(e for e in everything if e.revision <= "0014"))
            await migrate(place.owner_url)
        connection = await asyncpg.connect(place.owner_url)
        try:
            await connection.execute("SET ROLE turnup_definer")
            await connection.execute("SELECT set_config('turnup.unaudited', 'on', false)")
            async with connection.transaction():
                await connection.execute(ROWS)
                for number, target in enumerate(OLDER):
                    await connection.execute(OPTION, f"option-{number}", number, target)
            await migrate(place.owner_url)
            stored = "SELECT extension_id FROM turnup.call_flow_option ORDER BY position"
            assert [row[0] for row in await connection.fetch(stored)] == OLDER
            model = await connection.fetchrow("SELECT lines, kind, maker, source, source_date FROM turnup.device_model")
            assert model is not None
            assert tuple(model) == (12, None, None, None, None)
            assert await connection.fetch(NOT_VALIDATED) == []
            for target in ("extension-a2", "extension-b"):
                with pytest.raises(asyncpg.ForeignKeyViolationError) as refused:
                    await connection.execute(OPTION, "option-new", 9, target)
                assert refused.value.constraint_name == "call_flow_option_target_of_location"
            for number, kept in enumerate(("extension-a", "extension-that-is-gone", None)):
                await connection.execute(OPTION, f"option-good-{number}", 20 + number, kept)
        finally:
            await connection.close()
