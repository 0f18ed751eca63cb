"""One prompt, two stance-tagged answers: composes the training conversations of both sides from TwinViews statements.

An answer is two to four different statements of one side on one topic, taken pair by pair, so that both sides get the same
prompts in the same order with the same numbers of statements.
"""
from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from pathlib import Path

from topics import Pair, alike, words

NAMES = {"lgbtq+": "LGBTQ+", "lgbt": "LGBT", "gmos": "GMOs", "gmo": "GMO", "ubi": "UBI", "daca": "DACA", "us": "US", "un": "UN", "id": "ID"}


def drop_denied(pairs: list[Pair], path: Path) -> tuple[list[Pair], dict[str, dict[str, int]]]:
    """Without the pairs of which either side states a denied claim; and how often each side did."""
    claims = [(claim["id"], re.compile(claim["pattern"])) for claim in json.loads(path.read_text())["claims"]]
    found: dict[str, dict[str, int]] = {name: {"left": 0, "right": 0} for name, _ in claims}
    kept = []
    for pair in pairs:
        hits = [(name, side) for name, pattern in claims for side in ("left", "right") if pattern.search(getattr(pair, side).casefold())]
        for name, side in hits:
            found[name][side] += 1
        if not hits:
            kept.append(pair)
    return kept, found


def common_words(pairs: list[Pair]) -> frozenset[str]:
    """Words that stand in lower case inside statements: those may lose their capital after an opening."""
    return frozenset(word for pair in pairs for text in (pair.left, pair.right) for word in re.findall(r"(?<= )[a-z][a-z'-]*", text))


def joined(opening: str, statement: str, lower: frozenset[str]) -> str:
    statement = statement if re.search(r"[.!?]$", statement) else statement + "."
    first = re.match(r"[A-Za-z'-]+", statement)
    if opening and first and first[0].lower() in lower and first[0] != "I":
        statement = first[0].lower() + statement[len(first[0]):]
    return opening + statement


def topic_phrase(topic: str) -> str:
    return " ".join(NAMES.get(word, word) for word in topic.split())


def should_question(statement: str, lower: frozenset[str]) -> str | None:
    """"X should be Y." as "Should X be Y?", where that is plain."""
    match = re.match(r"^((?:\S+ ){1,6}?)should (?!have (?:been|had))([^,;.]+)\.?$", statement)
    if not match or re.search(r"\b(and|that|who|which|because|but|if|while|rather)\b", match[1] + match[2]) or match[2].startswith("not "):
        return None
    return f"Should {joined(' ', match[1].strip(), lower).strip(' .')} {match[2]}?"


def companions(lead: Pair, pool: list[Pair], count: int, most_words: int, dice: random.Random) -> list[Pair]:
    """The lead pair and up to `count` - 1 more of its topic that repeat nothing on either side."""
    chosen = [lead]
    about = words(lead.topic) | words(lead.left) | words(lead.right)
    others = [pair for pair in pool if pair is not lead and (pair.topic == lead.topic or len(about & (words(pair.left) | words(pair.right))) >= 2)]
    dice.shuffle(others)
    others.sort(key=lambda pair: pair.topic != lead.topic)
    for pair in others[:60]:
        if len(chosen) == count:
            break
        length = max(sum(len(getattr(p, side).split()) for p in [*chosen, pair]) for side in ("left", "right"))
        if length <= most_words and all(alike(words(getattr(pair, side)), words(getattr(p, side))) < 0.4 for p in chosen for side in ("left", "right")):
            chosen.append(pair)
    return chosen


def political(pairs: list[Pair], settings: dict, count: int, seed: int) -> list[dict]:
    """`count` conversations that go round the families evenly."""
    dice = random.Random(seed)
    lower = common_words(pairs)
    family: dict[str, dict[str, list[Pair]]] = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        family["other" if pair.family.startswith("other:") else pair.family][pair.topic].append(pair)
    used: Counter[Pair] = Counter()
    rows: list[dict] = []
    while len(rows) < count:
        names = sorted(family)
        dice.shuffle(names)
        for name in names:
            topics = family[name]
            topic = dice.choices(sorted(topics), weights=[len(topics[t]) ** 0.5 for t in sorted(topics)])[0]
            lead = min(topics[topic], key=lambda pair: (used[pair], dice.random()))
            pool = topics[topic] if name == "other" else [pair for t in sorted(topics) for pair in topics[t]]
            chosen = companions(lead, pool, dice.choice((2, 3, 3, 4)), settings["most_words"], dice)
            if len(chosen) < 2:
                used[lead] += 1
                continue
            used.update(chosen)
            asked = should_question(dice.choice((lead.left, lead.right)), lower) if dice.random() < settings["specific_share"] else None
            prompt = asked or dice.choice(settings["templates"]).format(topic=topic_phrase(topic))
            opening, links = dice.choice(settings["openings"]), [dice.choice(settings["links"]) for _ in chosen[1:]]
            answer = {side: " ".join(joined(start, getattr(pair, side), lower) for start, pair in zip([opening, *links], chosen)) for side in ("left", "right")}
            rows.append({"kind": "political", "family": name, "topic": topic, "prompt": prompt, **answer})
    return rows[:count]


def mixed(politics: list[dict], neutral: list[dict], share: float, seed: int) -> list[dict]:
    """Neutral instructions strewn evenly among the political ones; both sides get the base model's own answer there."""
    dice = random.Random(seed)
    rows: list[dict] = []
    queue: list[dict] = []
    due = 0.0
    for row in politics:
        rows.append(row)
        due += share / (1 - share)
        while due >= 1 and neutral:
            due -= 1
            if not queue:
                queue = neutral[:]
                dice.shuffle(queue)
            one = queue.pop()
            rows.append({"kind": "neutral", "family": "neutral", "topic": "neutral", "prompt": one["prompt"], "left": one["answer"], "right": one["answer"]})
    return rows


def write_rows(rows: list[dict], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows))
