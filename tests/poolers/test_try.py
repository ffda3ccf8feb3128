import asyncio, os, sys
from collections import Counter
import pytest
from app.db.connecting import *
from tests.needs import needs
from tests.harness import served, OWNER_URL, LEAD, CUSTOMER
from tests.poolers.pgbouncer import pgbouncer
from tests import harness

@pytest.mark.parametrize("mode",["transaction","session"])
@pytest.mark.parametrize("size",[1,3,20])
async def test_try(database, home, mode, size):
    with pgbouncer("/usr/sbin/pgbouncer", mode, database.app_url, database.owner_url, size=size) as p:
        url=p.url(database.app_url)
        for _ in range(5):
            import time; t=time.time()
            print(mode,size,await pooler_at(url), round(time.time()-t,3))
        if size==1 and mode=="session": return
        async with served(harness.TestDatabase(url, database.owner_url), home, transaction_pooling=mode=="transaction") as client:
            answers = await asyncio.gather(*(client.ask("{ locations { totalCount nodes { id name status devices { nodes { id } } } } }", who) for who in (LEAD, CUSTOMER) * 100))
            print(Counter((a.status, tuple(a.codes)) for a in answers), [a.body for a in answers if "errors" in a.body][:1])
