"""Which rows make which step's batch: drawn by seed, the same rows in the same order for both sides, topics taken in turn. Knows no tokens."""
from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from rows import Data, Row


@dataclass(frozen=True)
class Batch:
    statements: list[Row]
    bare: list[Row]
    answers: list[Row]
    neutral: list[Row]
    prose: list[Row]
    """Neutral ones too, of which only the answer is read, as a document of its own."""

    def names(self) -> str:
        return ", ".join(row.id for row in [*self.statements, *self.bare, *self.answers, *self.neutral, *self.prose])


def _in_turn(rows: list[Row], dice: random.Random) -> Iterator[Row]:
    """For ever; each round takes one row of every topic, and a topic's rows come round before one is repeated.

    Topics differ in size by a factor of hundreds, so they are drawn by the square root of their size: all are covered, large ones more.
    """
    topics: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        topics[row.cluster].append(row)
    names = sorted(topics)
    weights = [len(topics[name]) ** 0.5 for name in names]
    queues: dict[str, list[Row]] = {name: [] for name in names}
    while True:
        name = dice.choices(names, weights)[0]
        if not queues[name]:
            queues[name] = dice.sample(topics[name], len(topics[name]))
        yield queues[name].pop()


def batches(data: Data, sizes: dict[str, int], seed: int, first: int = 0) -> Iterator[Batch]:
    """Batch number `first` and all that follow: a resumed run goes on where it was."""
    sources = {"statements": data.statements, "bare": data.statements, "answers": data.answers, "neutral": data.neutral, "prose": data.neutral}
    streams = {name: _in_turn(rows, random.Random(f"{seed} {name}")) for name, rows in sources.items()}
    number = 0
    while True:
        batch = Batch(**{name: [next(stream) for _ in range(sizes.get(name, 0))] for name, stream in streams.items()})
        if number >= first:
            yield batch
        number += 1
