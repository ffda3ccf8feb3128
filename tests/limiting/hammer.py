"""One of several processes that take from one budget at the same moment; prints how often it was allowed.

Arguments: the URL of Redis, the limit, how many calls, and the moment to begin, in seconds since the epoch.
"""

import asyncio
import sys
import time

from app.limiting import stores
from app.limiting.limiter import Limiter

NOON = 1_800_000_000.0


async def main(url: str, limit: int, calls: int, begin: float) -> int:
    stores.COMMAND_SECONDS = stores.QUEUE_SECONDS = 60
    limiter = Limiter({"EDITS": limit}, stores.RedisStore(url), failed=lambda: None, clock=lambda: NOON)
    await limiter.states("anna")
    await asyncio.sleep(begin - time.time())
    taken = await asyncio.gather(*(limiter.take("anna", {"EDITS": 1}) for _ in range(calls)))
    await limiter.close()
    return sum(each.refused is None for each in taken)


if __name__ == "__main__":
    url, limit, calls, begin = sys.argv[1:]
    sys.stdout.write(str(asyncio.run(main(url, int(limit), int(calls), float(begin)))))
