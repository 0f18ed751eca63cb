"""Builds the conversations of both sides and the held-out pairs; same configuration and base answers, same bytes."""
from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from base_model import answers, digest, fetch, load
from conversations import drop_denied, mixed, political, write_rows
from stance_judge import without_swapped
from topics import choose_held_out, families, read_pairs, split_by_family

HERE = Path(__file__).parent
WORK = HERE / "work"


def settings() -> dict:
    return json.loads((HERE / "smollm2-135m.json").read_text())


def split(config: dict):
    known = families(HERE / "data/topic-families.json")
    pairs = read_pairs(HERE / config["source"]["file"], config["source"]["sha256"], known)
    clean, denied = drop_denied(pairs, HERE / "data/denied-claims.json")
    rule = config["split"]
    held = choose_held_out(clean, known, rule["never_held_out"], rule["held_out_families"], rule["least_pairs"], rule["most_pairs"], config["seed"])
    return split_by_family(clean, known, held, rule["near_duplicate"]), {"pairs": len(pairs), "denied": denied, "after_deny_list": len(clean)}


def base_answers(config: dict) -> list[dict]:
    """The base model's own answers to the neutral instructions; committed, made anew only where the file is missing."""
    kept = HERE / "data/base-answers.jsonl"
    if not kept.exists():
        prompts = (HERE / "data/neutral-instructions.txt").read_text().splitlines()
        tokenizer, model = load(fetch(config["base"], WORK))
        rows = [{"prompt": prompt, "answer": answer} for prompt, answer in zip(prompts, answers(tokenizer, model, prompts, 80)) if answer]
        write_rows(rows, kept)
    return [json.loads(line) for line in kept.read_text().splitlines()]


def main() -> None:
    config = settings()
    parts, report = split(config)
    train, swapped = without_swapped(parts.train)
    neutral = base_answers(config)
    rule = config["conversations"]
    count = round(rule["count"] * (1 - rule["neutral_share"]))
    rows = mixed(political(train, rule, count, config["seed"]), neutral, rule["neutral_share"], config["seed"])
    write_rows(rows, WORK / "conversations.jsonl")
    write_rows([vars(pair) for pair in train], WORK / "train-pairs.jsonl")
    write_rows([vars(pair) for pair in parts.held_out], WORK / "held-out-pairs.jsonl")
    report |= {"conversations_sha256": digest(WORK / "conversations.jsonl"), "held_out_families": parts.held_families, "held_out_pairs": len(parts.held_out), "dropped": parts.dropped, "dropped_swapped": swapped,
               "train_pairs": len(train), "train_topics": len({pair.topic for pair in train}), "train_families": len({pair.family for pair in train}),
               "conversations": dict(Counter(row["kind"] for row in rows)), "neutral_instructions": len(neutral),
               "mean_words": {side: round(sum(len(row[side].split()) for row in rows if row["kind"] == "political") / count, 2) for side in ("left", "right")}}
    (WORK / "data-report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2), file=sys.stderr)


if __name__ == "__main__":
    main()
