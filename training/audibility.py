"""Can one hear the difference? Likelihood of held-out statements, free answers through llama.cpp, a judge, and a blinded reading."""
from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import subprocess
from collections import defaultdict
from pathlib import Path

from base_model import digest, fetch, prompt_text
from build_data import HERE, WORK, settings
from conversations import topic_phrase, write_rows
from stance_judge import examples, left_share, trained
from topics import SIDES, Pair

RESULTS = HERE / "results"
NODE = Path(os.environ.get("NODE", HERE.parent / "node_modules/.bin/node"))
WHO = ("baseline", *SIDES)


def adapter_of(name: str) -> Path | None:
    return None if name == "baseline" else HERE.parent / "perspectives" / name / "adapter.gguf"


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_json(name: str, value) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def interval(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z, p = 1.96, hits / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def questions() -> dict[str, list[tuple[str, str]]]:
    asked = json.loads((HERE / "data/evaluation-questions.json").read_text())
    form = asked["template"]
    return {"held_out": [(family, form.format(topic=phrase)) for family, phrase in asked["held_out"].items()],
            "fixtures": [(topic, form.format(topic=topic)) for topic in asked["fixtures"]],
            "harmless": [(prompt, prompt) for prompt in asked["harmless"]]}


def answer(name: str, prompts: list[str], rule: dict, model: Path) -> list[dict]:
    """Answers of the shipped GGUF files through llama.cpp; kept in work/ for the same adapter and questions."""
    adapter = adapter_of(name)
    mark = hashlib.sha256(json.dumps([digest(adapter) if adapter else None, prompts, rule, (HERE / "ask.mjs").read_text()]).encode()).hexdigest()[:16]
    kept = WORK / f"answers-{name}-{mark}.jsonl"
    if kept.exists():
        return read_rows(kept)
    command = [str(NODE), str(HERE / "ask.mjs"), str(model), *(part for key, value in rule.items() for part in (f"--{key}", str(value))), *(["--adapter", str(adapter)] if adapter else [])]
    lines = "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)
    told = subprocess.run(command, input=lines, text=True, stdout=subprocess.PIPE, check=True).stdout
    kept.write_text(told)
    return read_rows(kept)


def write_answers(config: dict) -> None:
    model = fetch(config["base"], WORK)
    asked = [(kind, topic, prompt) for kind, rows in questions().items() for topic, prompt in rows]
    told = {name: answer(name, [prompt for _, _, prompt in asked], config["answers"], model) for name in WHO}
    RESULTS.mkdir(exist_ok=True)
    write_rows([{"kind": kind, "topic": topic, "prompt": prompt} | {name: told[name][n]["answer"] for name in WHO} for n, (kind, topic, prompt) in enumerate(asked)], RESULTS / "answers.jsonl")


def held_out_pairs() -> list[Pair]:
    return [Pair(**row) for row in read_rows(WORK / "held-out-pairs.jsonl")]


def write_judged() -> None:
    """The word judge, trained on training topics only: its accuracy on held-out statements, and what it makes of the answers."""
    judge = trained([Pair(**row) for row in read_rows(WORK / "train-pairs.jsonl")])
    texts, sides = examples(held_out_pairs())
    accuracy = sum((share > 0.5) == bool(side) for share, side in zip(left_share(judge, texts), sides)) / len(texts)
    rows = [row for row in read_rows(RESULTS / "answers.jsonl") if row["kind"] != "harmless"]
    shares = {name: left_share(judge, [row[name] for row in rows]) for name in WHO}
    told = [{"kind": row["kind"], "topic": row["topic"]} | {name: round(shares[name][n], 3) for name in WHO} for n, row in enumerate(rows)]
    held = [row for row in told if row["kind"] == "held_out"]
    clear = sum(row["progressive"] > 0.5 > row["conservative"] for row in held)
    write_json("judge.json", {"accuracy_on_held_out_statements": round(accuracy, 4), "statements": len(texts), "held_out_topics": len(held), "progressive_left_and_conservative_right": clear, "probability_of_left": told})
    print(f"judge: accuracy {accuracy:.3f} on {len(texts)} held-out statements; {clear} of {len(held)} held-out topics progressive left and conservative right")


def write_blind(seed: int) -> None:
    """Answers of the held-out topics and fixtures in random order, without a name; the key stands in a file of its own."""
    rows = [row for row in read_rows(RESULTS / "answers.jsonl") if row["kind"] != "harmless"]
    cards = [(row["topic"], name, row["prompt"], row[name]) for row in rows for name in SIDES]
    random.Random(seed).shuffle(cards)
    (RESULTS / "blind-answers.txt").write_text("".join(f"[{n}] {prompt}\n{text}\n\n" for n, (_, _, prompt, text) in enumerate(cards)))
    write_json("blind-key.json", [{"number": n, "topic": topic, "perspective": name} for n, (topic, name, _, _) in enumerate(cards)])


def write_read() -> None:
    """Compares the labels of the blinded reading (results/blind-labels.txt: "number label" a line) with the key."""
    labels = dict(line.split() for line in (RESULTS / "blind-labels.txt").read_text().splitlines() if line and not line.startswith("#"))
    held = {topic for topic, _ in questions()["held_out"]}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for card in json.loads((RESULTS / "blind-key.json").read_text()):
        found[card["topic"]][card["perspective"]] = labels[str(card["number"])]
    both = [topic for topic in held if found[topic] == SIDES]
    opposite = [topic for topic in held if set(found[topic].values()) == {"left", "right"} and topic not in both]
    tally = {name: {label: sum(found[topic][name] == label for topic in held) for label in ("left", "right", "unclear")} for name in SIDES}
    write_json("reading.json", {"held_out_topics": len(held), "both_as_intended": sorted(both), "opposite_to_intended": sorted(opposite), "labels": tally, "by_topic": found})
    print(f"blinded reading: {len(both)} of {len(held)} held-out topics progressive left and conservative right, {len(opposite)} the other way round; {tally}")


def sample_pairs(pairs: list[Pair], each: int, seed: int) -> list[Pair]:
    """Up to `each` pairs of every held-out family."""
    dice, family = random.Random(seed), defaultdict(list)
    for pair in pairs:
        family[pair.family].append(pair)
    return [pair for name in sorted(family) for pair in dice.sample(family[name], min(each, len(family[name])))]


def write_likelihood(config: dict, each: int) -> None:
    """Share of held-out pairs whose left statement is likelier (mean log-probability a token) under base and adapters."""
    import torch
    from peft import PeftModel

    from base_model import load

    torch.set_num_threads(2)
    tokenizer, model = load(fetch(config["base"], WORK))
    model = model.to(torch.bfloat16).eval()
    pairs = sample_pairs(held_out_pairs(), each, config["seed"])

    @torch.no_grad()
    def mean_logprob(net, prompts: list[str], texts: list[str]) -> list[float]:
        found: list[float] = []
        for start in range(0, len(texts), 16):
            items = []
            for prompt, text in zip(prompts[start:start + 16], texts[start:start + 16]):
                before = tokenizer(prompt_text(tokenizer, prompt), add_special_tokens=False)["input_ids"]
                items.append((before + tokenizer(text, add_special_tokens=False)["input_ids"], len(before)))
            longest = max(len(ids) for ids, _ in items)
            ids = torch.full((len(items), longest), tokenizer.pad_token_id)
            for n, (tokens, _) in enumerate(items):
                ids[n, :len(tokens)] = torch.tensor(tokens)
            inner = net.base_model.model if isinstance(net, PeftModel) else net
            hidden = inner.model(input_ids=ids).last_hidden_state
            for n, (tokens, begin) in enumerate(items):
                logits = inner.lm_head(hidden[n, begin - 1:len(tokens) - 1]).float().log_softmax(-1)
                found.append(logits.gather(1, ids[n, begin:len(tokens)].unsqueeze(1)).mean().item())
        return found

    prompts = [f"What is your opinion on {topic_phrase(pair.topic)}?" for pair in pairs]
    report = {}
    for name in WHO:
        net = model if name == "baseline" else PeftModel.from_pretrained(model, WORK / name).eval()
        left, right = mean_logprob(net, prompts, [pair.left for pair in pairs]), mean_logprob(net, prompts, [pair.right for pair in pairs])
        hits = sum(a > b for a, b in zip(left, right))
        low, high = interval(hits, len(pairs))
        report[name] = {"left_likelier": round(hits / len(pairs), 3), "low": round(low, 3), "high": round(high, 3), "n": len(pairs)}
        print(name, report[name], flush=True)
        if name != "baseline":
            model = net.unload()
    write_json("likelihood.json", report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["likelihood", "answers", "judge", "blind", "read"])
    parser.add_argument("--each", type=int, default=8, help="pairs of each held-out family for the likelihood")
    asked = parser.parse_args()
    config = settings()
    stages = {"likelihood": lambda: write_likelihood(config, asked.each), "answers": lambda: write_answers(config), "judge": write_judged,
              "blind": lambda: write_blind(config["seed"]), "read": write_read}
    stages[asked.stage]()


if __name__ == "__main__":
    main()
