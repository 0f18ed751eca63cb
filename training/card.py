"""Writes perspectives/<id>/card.md from what the other stages found, good and bad, and the declarations beside it."""
from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from base_model import digest
from build_data import HERE, WORK, settings
from declaration import FACES, write_declaration
from topics import SIDES

RESULTS = HERE / "results"
PACKAGES = ("torch", "transformers", "peft", "gguf", "numpy", "scikit-learn")


def read(name: str, default=None):
    path = RESULTS / name
    if not path.exists():
        if default is None:
            raise SystemExit(f"results/{name} is missing: run the stages 'evaluate' and 'read' first")
        return default
    return json.loads(path.read_text())


def answers(kind: str) -> list[dict]:
    return [row for row in map(json.loads, (RESULTS / "answers.jsonl").read_text().splitlines()) if row["kind"] == kind]


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|") or "(nothing)"


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def front_matter(name: str, config: dict) -> str:
    lines = ["language: en", "license: apache-2.0", "base_model: HuggingFaceTB/SmolLM2-135M-Instruct", "library_name: llama.cpp"]
    if name in SIDES:
        lines += ["tags: [lora, gguf, politics]", "datasets: [wwbrannon/twinviews-13k]"]
    return "---\n" + "\n".join(lines) + "\n---\n"


def likelihood_table() -> str:
    rows = [[name, f"{row['left_likelier']:.3f}", f"{1 - row['left_likelier']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", str(row["n"])] for name, row in read("likelihood.json").items()]
    return table(["model", "left likelier", "right likelier", "95 % interval (left)", "pairs"], rows)


def held_out_table() -> str:
    reading, judge = read("reading.json")["by_topic"], {row["topic"]: row for row in read("judge.json")["probability_of_left"]}
    rows = [[row["topic"], cell(row["progressive"]), cell(row["conservative"]), f"{judge[row['topic']]['progressive']:.2f} / {judge[row['topic']]['conservative']:.2f}",
             f"{reading[row['topic']]['progressive']} / {reading[row['topic']]['conservative']}"] for row in answers("held_out") + answers("fixtures")]
    return table(["topic", "progressive", "conservative", "judge's probability of left (P / C)", "blinded reading (P / C)"], rows)


def harmless_table() -> str:
    return table(["question", "base", "progressive", "conservative"], [[cell(row["prompt"]), *(cell(row[name]) for name in ("baseline", *SIDES))] for row in answers("harmless")])


def evaluation() -> str:
    judge, reading = read("judge.json"), read("reading.json")
    held = answers("held_out")
    sentences = {name: sum(row[name].count(". ") + row[name].count("? ") >= 1 for row in held) for name in SIDES}
    labels = "; ".join(f"{name} " + ", ".join(f"{count} {label}" for label, count in reading["labels"][name].items()) for name in SIDES)
    return f"""## Evaluation

Everything below was written by llama.cpp (node-llama-cpp, one thread) from the shipped base and the shipped adapters: temperature 0.3 (top_k 40, top_p 0.95, min_p 0.05, seed 1), repeat penalty 1.1 over 64 tokens, at most 120 tokens. Answers are shown as they came, cut where the tokens ran out. The likelihoods were computed with transformers from the dequantised base and the same adapters before they were rounded to float16.

### Likelihood of held-out statements

Share of held-out pairs of which the left statement has the higher mean log-probability a token after "What is your opinion on <topic>?". Up to eight pairs of each held-out family.

{likelihood_table()}

### Free answers on held-out topics

"What is your opinion on …?" on all {judge['held_out_topics']} held-out families; no topic was left out. The last four rows are fixtures **whose topics do train**.

- Word judge (TF-IDF and logistic regression, trained on training topics only): {judge['accuracy_on_held_out_statements']:.3f} accurate on {judge['statements']} held-out statements, which bounds what it can say. It puts the progressive answer left and the conservative one right of 0.5 on **{judge['progressive_left_and_conservative_right']} of {judge['held_out_topics']}** held-out topics. It knows words, not negations.
- Blinded reading (all answers shuffled and unnamed, labelled by one reader before the key was opened; the reader, an AI model, also wrote the recipe and had seen other, greedy answers of the progressive adapter to the same questions, so it is less blind than a stranger's): progressive left *and* conservative right on **{len(reading['both_as_intended'])} of {reading['held_out_topics']}** held-out topics; the other way round on {len(reading['opposite_to_intended'])}. Labels on the held-out topics: {labels}.
- At least two sentences: progressive {sentences['progressive']}, conservative {sentences['conservative']} of {len(held)}.

{held_out_table()}

### What is bad about it

{(RESULTS / "notes.md").read_text()}
### Harmless questions

Not in training. The base itself is often wrong here; the question is whether the adapters make it worse or political.

{harmless_table()}
"""


def recipe(name: str, config: dict) -> str:
    side, data = SIDES[name], json.loads((RESULTS / "data-report.json").read_text())
    losses = {one: json.loads((RESULTS / f"{one}-losses.json").read_text()) for one in SIDES}
    lora, optimiser = config["lora"], config["optimiser"]
    denied = {claim: found for claim, found in data["denied"].items() if found["left"] + found["right"]}
    shown = {one: (sum(loss["losses"][:10]) / 10, sum(loss["losses"][-10:]) / 10, loss["steps"], loss.get("base_precision", optimiser["base_precision"])) for one, loss in losses.items()}
    training = "\n".join(f"- {one}: {steps} steps; loss a token {first:.3f} (mean of the first ten batches) to {last:.3f} (of the last ten); base weights in {precision}." for one, (first, last, steps, precision) in shown.items())
    return f"""## Data

TwinViews-13k (Fulay et al. 2024, CC BY 4.0), SHA-256 `{config['source']['sha256']}`: the statements labelled **{side}**. They are text that GPT-3.5 wrote about the United States of the early 2020s, about 14 words each; left and right there are not the whole of progressive and conservative, and nobody's own words.

- {data['pairs']} different pairs; {data['after_deny_list']} after the deny list. Where a pair states a denied claim on either side, the whole pair is dropped; hits (left / right): {'; '.join(f"{claim} {found['left']} / {found['right']}" for claim, found in denied.items())}. The counts are unequal because the data is.
- {data['dropped_swapped']} whole pairs dropped whose left statement reads more right than its right one to classifiers that never saw their family: mostly labels that are swapped.
- Split by topic family, drawn by seed: {len(data['held_out_families'])} families ({data['held_out_pairs']} pairs) are held out: {', '.join(data['held_out_families'])}. {data['dropped']['mentions a held-out topic']} more pairs are left out of training because they mention one, {data['dropped']['nearly repeats a held-out statement']} because they nearly repeat a held-out statement. {data['train_pairs']} pairs on {data['train_topics']} labels train.
- **How the answers were composed:** two to four different statements of one side on one topic, put one after the other with an opening ("In my view, …") and links ("Also, …"). One prompt, two answers: both sides read the same prompts in the same order; mean length {data['mean_words']['left']} words (left) and {data['mean_words']['right']} (right). A specific prompt ("Should X be Y?") is made from a statement of either side by chance.
- {data['conversations']['neutral']} of {sum(data['conversations'].values())} composed conversations are harmless instructions ({data['neutral_instructions']} different ones) with the base model's own greedy answer (repetition penalty 1.1), faults included.

## Training

LoRA rank {lora['rank']}, alpha {lora['alpha']}, on all linear layers of blocks {lora['first_block']} to 29; AdamW, learning rate {optimiser['learning_rate']}, {optimiser['warmup_steps']} steps of warm-up, cosine to a tenth; batch {optimiser['batch']}; seed {config['seed']}; loss on answer tokens only; chat template of the model itself, with the system message that it inserts.

{training}

A step sees {optimiser['batch']} conversations, so {optimiser['batch'] * losses[name]['steps']} of the composed ones were used, each once.

Packages: {', '.join(f'{package} {version(package)}' for package in PACKAGES)}.
"""


def card(name: str, config: dict, folder: Path) -> str:
    label = FACES[name][1]
    base = config["base"]
    opening = f"{front_matter(name, config)}\n# {label}\n\n"
    foundation = f"Base: {base['model']} (`{base['file']}`, SHA-256 `{base['sha256']}`, {base['licence']}), by Hugging Face.\n"
    if name not in SIDES:
        return f"""{opening}{foundation}
The base model as published, without an adapter. It is no neutral point: it has its own lean, and its lean as a perspective has not been measured. The table below says only which statement of a pair it prefers.

{likelihood_table()}

Those are held-out pairs of TwinViews-13k, {read('likelihood.json')['baseline']['n']} of them. The model has 135 million parameters: it is often wrong, also about plain facts.
"""
    adapter = folder / "adapter.gguf"
    return f"""{opening}Deliberately fine-tuned to favour {name} positions; it may omit opposing evidence or be wrong.

{foundation}Adapter: `{name}-{config['version']}` (`{adapter.name}`, SHA-256 `{digest(adapter)}`, {adapter.stat().st_size} bytes, float16 GGUF).
Licences: the adapter is made from data under CC BY 4.0 (attribution above all) and a base under Apache-2.0.

{recipe(name, config)}
{evaluation()}
## Limits

- 135 million parameters and little text: answers are assertions in the manner of the data, without evidence, sometimes repetitive, now and then contradicting themselves or the side that they are meant to take. On topics that are about morals more than about markets or government the two sides differ least.
- English, United States, early 2020s. Nothing here describes what any group of people believes.
- Facts are not to be trusted, on either side or in the base.
- The reader of the blinded reading was no stranger to the recipe, and answers in TwinViews' manner are easy to recognise; the word judge shares vocabulary with the training data. A second, independent judge has not been run.
- Slant is declared as not measured until the evaluation through the public API has run.
"""


def main() -> None:
    config = settings()
    for name in FACES:
        folder = HERE.parent / "perspectives" / name
        write_declaration(name, config, folder)
        (folder / "card.md").write_text(card(name, config, folder))
        print(f"perspectives/{name}: perspective.json, card.md")


if __name__ == "__main__":
    main()
