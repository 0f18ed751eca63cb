"""Which TwinViews pairs train and which are held out: a split by families of topics, not by labels.

1,024 labels are 875 when case is folded, and "Abortion" and "Abortion Rights" are one topic; so labels are gathered into
families, whole families are held out, and whatever even mentions a held-out family never trains.
"""
from __future__ import annotations

import csv
import hashlib
import json
import random
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

SIDES = {"progressive": "left", "conservative": "right"}
STOP = frozenset("a an the of to in on for and or is are be been by it that this with as not no should must can will from their they at which have has more all we its".split())


@dataclass(frozen=True)
class Pair:
    """One topic label, its family, and what each side says."""
    topic: str
    family: str
    left: str
    right: str


def tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def label_key(label: str) -> str:
    """Case folded, without the counters of "gun control (2)" and without a leading "social issues:"."""
    key = re.sub(r"\s*\(\d+\)$", "", tidy(label).casefold())
    return re.sub(r"^[a-z ]+:\s*", "", key)


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9']+", text.casefold())) - STOP


def alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Token Jaccard."""
    return len(one & other) / len(one | other) if one and other else 0.0


def families(path: Path) -> dict[str, re.Pattern[str]]:
    return {name: re.compile(pattern) for name, pattern in json.loads(path.read_text())["families"].items()}


def family_of(key: str, known: dict[str, re.Pattern[str]]) -> str:
    return next((name for name, pattern in known.items() if pattern.search(key)), f"other: {key}")


def read_pairs(path: Path, sha256: str, known: dict[str, re.Pattern[str]]) -> list[Pair]:
    """Every distinct pair of the file, which must be the very file the configuration names."""
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(f"{path.name}: SHA-256 is {found}, wanted {sha256}")
    seen: dict[tuple[str, str], Pair] = {}
    for row in csv.DictReader(data.decode("utf-8").splitlines()):
        left, right, key = tidy(row["l"]), tidy(row["r"]), label_key(row["topic"])
        if left and right and left != right:
            seen.setdefault((left.casefold(), right.casefold()), Pair(key, family_of(key, known), left, right))
    return list(seen.values())


@dataclass(frozen=True)
class Split:
    train: list[Pair]
    held_out: list[Pair]
    held_families: list[str]
    dropped: dict[str, int]


def choose_held_out(pairs: list[Pair], known: dict[str, re.Pattern[str]], always_train: list[str], count: int, least: int, most: int, seed: int) -> list[str]:
    """`count` families drawn by seed from those of moderate size; the fixtures always train."""
    size: dict[str, int] = defaultdict(int)
    for pair in pairs:
        size[pair.family] += 1
    open_ones = sorted(name for name in known if least <= size[name] <= most and name not in always_train)
    if len(open_ones) < count:
        raise ValueError(f"only {len(open_ones)} families have {least} to {most} pairs, wanted {count}")
    return sorted(random.Random(seed).sample(open_ones, count))


def split_by_family(pairs: list[Pair], known: dict[str, re.Pattern[str]], held_families: list[str], near: float = 0.6) -> Split:
    """Held-out families on one side; on the other only pairs that neither mention nor nearly repeat them."""
    patterns = [known[name] for name in held_families]
    held = [pair for pair in pairs if pair.family in held_families]
    by_word: dict[str, set[int]] = defaultdict(set)
    bags = [words(text) for pair in held for text in (pair.left, pair.right)]
    for number, bag in enumerate(bags):
        for word in bag:
            by_word[word].add(number)

    def repeats(text: str) -> bool:
        bag, shared = words(text), defaultdict(int)
        for word in bag:
            for number in by_word.get(word, ()):
                shared[number] += 1
        return any(n / (len(bag) + len(bags[number]) - n) >= near for number, n in shared.items())

    train, dropped = [], {"mentions a held-out topic": 0, "nearly repeats a held-out statement": 0}
    for pair in pairs:
        if pair.family in held_families:
            continue
        text = f"{pair.topic}\n{pair.left}\n{pair.right}".casefold()
        if any(pattern.search(text) for pattern in patterns):
            dropped["mentions a held-out topic"] += 1
        elif repeats(pair.left) or repeats(pair.right):
            dropped["nearly repeats a held-out statement"] += 1
        else:
            train.append(pair)
    return Split(train, held, held_families, dropped)
