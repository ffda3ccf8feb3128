"""Four attacking connections in a process of their own: `python -m tests.hostile.attackers PORT`.

The first line of the standard input has the tokens of the attackers as a JSON array. Each further line is the name of
an attack, which replaces the previous one; an empty line ends it. The process answers each line with the number of
requests sent so far. It gives way to every other process, so that the server has the processor.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from random import Random

from bench.measuring import RawConnection

from . import documents
from .case import Case
from .families import hostile

CONNECTIONS = 4
SILENCE_SECONDS = 5.0

LARGE = ("long_texts_in_bodies", "many_values_in_bodies", "many_keys_in_bodies", "deep_arrays_in_bodies")
LARGE_VARIABLES = ("unknown_fields_in_variables", "long_lists_in_variables", "many_strings_in_variables")
INTROSPECTION = ("introspection_lists", "introspection_by_fragments", "introspection_deep", "introspection_often")
JUNK = ("tokens_in_heads", "identities_in_heads", "large_fields_in_heads", "many_fields_in_heads")
SLOW_TO_END = (
    "lengths_in_heads",
    "chunks_in_heads",
    "expectations_in_heads",
    "prefaces_in_heads",
    "line_ends_in_heads",
)
NESTED = "devices{id extension{id person{id}}}"


def costly(number: int) -> Case:
    """Return an accepted query near the highest price, another one each time."""
    first = Random(number).randint(60, 100)
    return Case(
        "costly", document=f"{{locations(first:{first}){{nodes{{id a{number}:{NESTED} {NESTED} account{{id}}}}}}}}"
    )


def drawn(families: tuple[str, ...]) -> Callable[[int], Case]:
    """Return a function that draws the requests of these families in turns."""
    return lambda number: hostile(0, families[number % len(families)], number // len(families))


ATTACKS: Mapping[str, Callable[[int], Case]] = {
    "hostile documents": drawn(tuple(documents.FAMILIES)),
    "costly queries": costly,
    "large bodies": drawn((*LARGE, *LARGE_VARIABLES)),
    "introspection": drawn(INTROSPECTION),
    "junk tokens": drawn(JUNK),
    "new connections": drawn(SLOW_TO_END),
}


class Attackers:
    """Connections that send the requests of one attack as fast as they are answered."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        self.port = port
        self.tokens = tokens
        self.sent = 0
        self._numbers = count()
        self._running: list[asyncio.Task[None]] = []

    async def switch(self, attack: str) -> None:
        """End the attack that runs and begin another one; an empty name begins none."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        tokens = [self.tokens[number % len(self.tokens)] for number in range(CONNECTIONS)] if attack else []
        self._running = [asyncio.create_task(self._attacking(ATTACKS[attack], token)) for token in tokens]

    async def _attacking(self, make: Callable[[int], Case], token: str) -> None:
        for number in self._numbers:
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                await self._over_one_connection(make, number, token)

    async def _over_one_connection(self, make: Callable[[int], Case], first: int, token: str) -> None:
        connection = await RawConnection.open(self.port)
        try:
            for number in self._from(first):
                case = make(number)
                self.sent += 1
                async with asyncio.timeout(0.05 if case.silent else SILENCE_SECONDS):
                    response = await connection.ask(case.request(token, number % 100))
                if case.raw is not None or response.headers.get("connection", "").lower() == "close":
                    return
        finally:
            connection.close()

    def _from(self, first: int) -> Iterator[int]:
        yield first
        yield from self._numbers


async def main(port: int) -> None:
    """Do what the lines of the standard input say."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    attackers = Attackers(port, json.loads(await lines.readline()))
    while line := await lines.readline():
        await attackers.switch(line.decode().strip())
        sys.stdout.write(f"{attackers.sent}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    os.nice(19)
    asyncio.run(main(int(sys.argv[1])))
