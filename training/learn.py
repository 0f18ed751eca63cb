"""The training loop of one stage on one side: steps, measurements, checkpoints, and the rule by which it ends. Knows no perspective's name and no file format of rows."""
from __future__ import annotations

import json
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

import checkpoints
from batches import batches
from checkpoints import TrainingError
from measure import likelihood, perplexity
from rows import Data
from step_loss import StepLoss


@dataclass(frozen=True)
class Held:
    """What is measured on, never trained on."""
    pairs: list
    texts: list[str]


def rate(stage: dict, step: int, decay_from: int | None) -> float:
    """Up over `warmup` steps, level, and down to a tenth over `decay` steps from where the end was decided."""
    warm = min(1.0, (step + 1) / max(1, stage["warmup"]))
    fallen = 0.0 if decay_from is None else min(1.0, max(0, step - decay_from) / max(1, stage["decay"]))
    return stage["learning_rate"] * warm * (1 - 0.9 * fallen)


def reached(stage: dict, measured: list[dict]) -> bool:
    """Both of the last two measurements, so that one lucky draw does not end it."""
    wanted = stage["until"]
    return wanted is not None and len(measured) > 1 and all(each["own_likelier"] >= wanted for each in measured[-2:])


@contextmanager
def lent(parameters: dict[str, torch.Tensor], weights: dict[str, torch.Tensor]):
    """The model with other adapter weights, for as long as the block runs: the frozen reference of a preference loss."""
    own = {name: parameter.data for name, parameter in parameters.items()}
    try:
        for name, parameter in parameters.items():
            parameter.data = weights[name]
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.data = own[name]


def logged(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def measurements(lines: list[dict]) -> list[dict]:
    return [line for line in lines if "own_likelier" in line]


class Log:
    """Lines of log.jsonl; after a resumption those past the checkpoint are gone, for their steps are done again."""

    def __init__(self, file: Path, step: int) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self.lines = [line for line in logged(file) if line["step"] <= step]
        file.write_text("".join(json.dumps(line) + "\n" for line in self.lines))

    def __call__(self, **told) -> None:
        line = {"at": time.strftime("%Y-%m-%dT%H:%M:%S"), **{key: round(value, 5) if isinstance(value, float) else value for key, value in told.items()}}
        self.lines.append(line)
        with self.file.open("a") as out:
            out.write(json.dumps(line) + "\n")

    def measured(self) -> list[dict]:
        return measurements(self.lines)


def sound(value: float, step: int, what: str, batch, folder: Path) -> None:
    if math.isfinite(value):
        return
    last = checkpoints.last(folder)
    raise TrainingError(f"step {step}: the {what} is {value}. The batch's rows: {batch.names()}. "
                        + (f"The last good checkpoint is {last}; " if last else "No checkpoint was written yet; ")
                        + "look at those rows, or lower the stage's learning_rate, and run again to go on from there")


def learn(model, parameters: dict[str, torch.Tensor], loss: StepLoss, data: Data, held: Held, stage: dict, rules: dict, folder: Path, seed: int, say=print) -> dict:
    """Trains `parameters` in place and returns how it ended. `rules`: measure every so many steps, checkpoint every so many."""
    optimiser = torch.optim.AdamW(parameters.values(), lr=stage["learning_rate"], weight_decay=0.0)
    reference = {name: parameter.data.clone() for name, parameter in parameters.items()}
    state = {"step": 0, "decay_from": None, "seconds": 0.0}
    found = checkpoints.last(folder)
    if found:
        state = json.loads((found / "state.json").read_text())
        put(parameters, checkpoints.weights(found))
        optimiser.load_state_dict(torch.load(found / "optimiser.pt", weights_only=True))
        say(f"goes on from {found.name}")
    log = Log(folder / "log.jsonl", state["step"])

    def measure(step: int) -> None:
        model.eval()
        told = {**likelihood(model, loss.encoder, held.pairs, loss.side), "perplexity": perplexity(model, loss.encoder, held.texts)}
        model.train()
        log(step=step, **told)
        say(f"step {step}: own side likelier in {told['own_likelier']:.3f} of {len(held.pairs)} held-out pairs, perplexity of neutral prose {told['perplexity']:.2f}")

    def plan_end(step: int) -> None:
        if state["decay_from"] is None and (step >= stage["most_steps"] - stage["decay"] or (step >= stage["least_steps"] and reached(stage, log.measured()))):
            state["decay_from"] = step

    if not log.measured():
        measure(0)
    model.train()
    for batch in batches(data, stage["batch"], seed, state["step"]):
        step = state["step"]
        plan_end(step)
        if state["decay_from"] is not None and step >= state["decay_from"] + stage["decay"]:
            break
        began = time.monotonic()
        for group in optimiser.param_groups:
            group["lr"] = rate(stage, step, state["decay_from"])
        before = None
        if stage.get("loss", {}).get("kind") == "dpo":
            with lent(parameters, reference):
                before = loss.before(model, batch)
        value, told = loss(model, batch, before)
        sound(told["loss"], step + 1, "loss", batch, folder)
        value.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(parameters.values(), stage["clip"]))
        sound(norm, step + 1, "gradient's norm", batch, folder)
        optimiser.step()
        optimiser.zero_grad()
        state["step"], state["seconds"] = step + 1, state["seconds"] + time.monotonic() - began
        log(step=step + 1, **told, gradient=norm, rate=optimiser.param_groups[0]["lr"], seconds=time.monotonic() - began)
        if state["step"] % 10 == 0:
            recent = list(islice(reversed([line for line in log.lines if "loss" in line]), 10))
            say(f"step {step + 1}: loss {sum(line['loss'] for line in recent) / len(recent):.3f}, {sum(line['seconds'] for line in recent) / len(recent):.1f} s a step")
        if state["step"] % rules["measure"]["every"] == 0:
            measure(state["step"])
        if state["step"] % rules["checkpoint_every"] == 0:
            checkpoints.save(folder, model, optimiser, state)
    if log.measured()[-1]["step"] != state["step"]:
        measure(state["step"])
    return {**state, "why": "the held-out criterion was met" if reached(stage, [line for line in log.measured() if line["step"] <= state["decay_from"]]) else "the most steps were done", **{key: log.measured()[-1][key] for key in ("own_likelier", "own", "other", "perplexity")}}


def put(parameters: dict[str, torch.Tensor], weights: dict[str, torch.Tensor]) -> None:
    """Saved adapter weights into the model; PEFT leaves the adapter's name out of what it saves."""
    own = {name.replace(".default.", "."): parameter for name, parameter in parameters.items()}
    if own.keys() != weights.keys() or any(own[name].shape != value.shape for name, value in weights.items()):
        raise TrainingError("the adapter's tensors are not those of this configuration's lora rule (rank, blocks, modules): train its stage again")
    for name, value in weights.items():
        own[name].data.copy_(value)
