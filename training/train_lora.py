"""Trains one side's LoRA on its answers; the loss counts answer tokens only."""
from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from pathlib import Path

import torch
from peft import set_peft_model_state_dict
from safetensors.torch import load_file

from base_model import fetch, load, prompt_text, with_lora
from build_data import WORK, settings
from topics import SIDES


def encoded(tokenizer, row: dict, side: str) -> tuple[list[int], int]:
    """Token ids of prompt and answer, and where the answer begins."""
    before = tokenizer(prompt_text(tokenizer, row["prompt"]), add_special_tokens=False)["input_ids"]
    answer = tokenizer(row[side] + "<|im_end|>", add_special_tokens=False)["input_ids"]
    return before + answer, len(before)


def batches(rows: list[dict], size: int, seed: int) -> list[list[dict]]:
    """In groups of eight batches sorted by length, so that little is padded; the same order for both sides."""
    dice = random.Random(seed)
    found = []
    for start in range(0, len(rows), size * 8):
        group = sorted(rows[start:start + size * 8], key=lambda row: (len(row["prompt"]) + len(row["left"]) + len(row["right"]), row["prompt"]))
        part = [group[i:i + size] for i in range(0, len(group), size)]
        dice.shuffle(part)
        found += part
    return found


def answer_loss(model, tokenizer, rows: list[dict], side: str):
    """Mean cross-entropy a token of the answers; logits are computed there only."""
    items = [encoded(tokenizer, row, side) for row in rows]
    longest = max(len(ids) for ids, _ in items)
    ids = torch.full((len(items), longest), tokenizer.pad_token_id)
    mask, wanted = torch.zeros_like(ids), torch.zeros(ids.shape, dtype=torch.bool)
    for n, (tokens, start) in enumerate(items):
        ids[n, :len(tokens)] = torch.tensor(tokens)
        mask[n, :len(tokens)] = 1
        wanted[n, start:len(tokens)] = True
    inner = model.base_model.model
    hidden = inner.model(input_ids=ids, attention_mask=mask).last_hidden_state
    logits = inner.lm_head(hidden[:, :-1][wanted[:, 1:]])
    return torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:][wanted[:, 1:]])


def taken(out: Path, steps: int) -> str | None:
    """Why this folder is not to be trained into, if so."""
    done, lock = out / "losses.json", out / "training.pid"
    if done.exists() and json.loads(done.read_text())["steps"] == steps:
        return f"{out.name} has been trained for {steps} steps; remove {done} to train it again"
    if lock.exists() and Path(f"/proc/{lock.read_text()}").exists():
        return f"{out.name} is being trained by process {lock.read_text()}"
    return None


def train(name: str, config: dict, steps: int, out: Path, threads: int, onward: Path | None = None) -> None:
    """`onward`: an adapter trained before, whose batches are not repeated; the learning rate rises and falls anew, to half the height."""
    reason = taken(out, steps)
    if reason:
        print(reason, flush=True)
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / "training.pid").write_text(str(os.getpid()))
    torch.manual_seed(config["seed"])
    torch.set_num_threads(threads)
    tokenizer, base = load(fetch(config["base"], WORK))
    model = with_lora(base.to(getattr(torch, config["optimiser"]["base_precision"])), config["lora"])
    rows = [json.loads(line) for line in (WORK / "conversations.jsonl").read_text().splitlines()]
    rule = config["optimiser"]
    plan, height = batches(rows, rule["batch"], config["seed"]), rule["learning_rate"]
    if onward:
        set_peft_model_state_dict(model, load_file(onward / "adapter_model.safetensors"))
        plan, height = plan[json.loads((onward / "losses.json").read_text())["steps"]:], height / 2
    if len(plan) < steps:
        raise ValueError(f"{steps} steps need {steps} batches, there are {len(plan)}: raise conversations.count")
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trainable, lr=rule["learning_rate"], weight_decay=0.0)
    losses, began = [], time.monotonic()
    model.train()
    for step in range(steps):
        warm = min(1.0, (step + 1) / rule["warmup_steps"])
        rate = height * warm * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = answer_loss(model, tokenizer, plan[step], SIDES[name])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(round(loss.item(), 4))
        if step % 5 == 4 or step == steps - 1:
            print(f"{name} step {step + 1}/{steps} loss {sum(losses[-10:]) / len(losses[-10:]):.3f} {(time.monotonic() - began) / (step + 1):.2f} s/step", flush=True)
        if step % 40 == 39:
            model.save_pretrained(out / f"step-{step + 1}")
    model.save_pretrained(out)
    (out / "losses.json").write_text(json.dumps({"side": SIDES[name], "steps": steps, "base_precision": rule["base_precision"], "seconds": round(time.monotonic() - began), "losses": losses}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("perspective", choices=sorted(SIDES))
    parser.add_argument("--steps", type=int, help="instead of the configured number")
    parser.add_argument("--out", type=Path, help="folder of the adapter; work/<perspective> unless given")
    parser.add_argument("--onward", type=Path, help="folder of an adapter to train on, with batches that it has not seen")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    config = settings()
    train(asked.perspective, config, asked.steps or config["optimiser"]["steps"][asked.perspective], asked.out or WORK / asked.perspective, asked.threads, asked.onward)


if __name__ == "__main__":
    main()
