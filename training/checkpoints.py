"""Checkpoints that are whole or not there, and manifests that say what an adapter was made of. Knows nothing of losses."""
from __future__ import annotations

import json
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from base_model import digest

PACKAGES = ("torch", "transformers", "peft", "trl", "gguf", "numpy")


class TrainingError(RuntimeError):
    """Training cannot begin or go on; says why and what is left."""


def write_json(path: Path, value) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    part.replace(path)


def save(folder: Path, model, optimiser, state: dict) -> Path:
    """Written beside and renamed, so that a power cut leaves the one before. All are kept (some 30 MB each): the best of them is what a stage ends with."""
    import torch

    target, part = folder / f"checkpoint-{state['step']}", folder / "checkpoint.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    model.save_pretrained(part)
    torch.save(optimiser.state_dict(), part / "optimiser.pt")
    (part / "state.json").write_text(json.dumps(state))
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return target


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rsplit("-", 1)[1])


def all_of(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoint-*") if (path / "state.json").exists()]


def last(folder: Path) -> Path | None:
    return max(all_of(folder), key=step_of, default=None)


def best(folder: Path, measured: list[dict], most_perplexity: float) -> dict:
    """
    The measurement of the checkpoint to release: where the own side is likelier most often, among those whose perplexity of neutral prose is at most
    `most_perplexity`; of equals the one that lost less. Where none is within the limit, the last measurement: the gate will say so.
    """
    kept = {step_of(path) for path in all_of(folder)} | {measured[-1]["step"]}
    lines = [line for line in measured if line["step"] in kept]
    within = [line for line in lines if line["perplexity"] <= most_perplexity]
    if not within:
        return measured[-1]
    return max(within, key=lambda line: (line["own_likelier"], -line["perplexity"]))


def weights(folder: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def manifest(configuration, perspective: str, stage: str, inputs: list[Path], start: Path | None) -> dict:
    return {"perspective": perspective, "side": configuration.side(perspective), "stage": stage, "version": configuration["version"], "seed": configuration["seed"],
            "configuration": {"file": configuration.file.name, "sha256": configuration.digest, "told": configuration.told}, "base": configuration["base"],
            "inputs": {f"{path.parent.name}/{path.name}": {"sha256": digest(path), "bytes": path.stat().st_size} for path in inputs},
            "started_from": None if start is None else {"stage": start.name, "sha256": digest(start / "adapter_model.safetensors")},
            "versions": versions(), "machine": {"processor": platform.machine(), "cores": os.cpu_count()}}


def check_base(adapter: Path, base: dict) -> None:
    """Refuses an adapter that was trained on other weights: it would load, and answer nonsense."""
    file = adapter / "manifest.json"
    if not file.exists() or not (adapter / "adapter_model.safetensors").exists():
        raise TrainingError(f"{adapter} holds no finished adapter (adapter_model.safetensors with manifest.json): train its stage first")
    found = json.loads(file.read_text())["base"]
    key = "sha256" if "sha256" in base else "model"
    if found.get(key) != base[key]:
        raise TrainingError(f"{adapter} is an adapter of {found.get('model')} ({key} {found.get(key)}), and this configuration's base is {base['model']} ({key} {base[key]}): train the supervised stage on this base first")


def same_run(folder: Path, wanted: dict) -> None:
    """A run goes on only from what it was begun with."""
    file = folder / "manifest.json"
    if not file.exists():
        return
    found = json.loads(file.read_text())
    for key in ("configuration", "inputs", "started_from", "side"):
        one, other = ({**part["configuration"]["told"]} if key == "configuration" else part[key] for part in (found, wanted))
        if one != other:
            raise TrainingError(f"{folder} was begun with another {key.replace('_', ' ')}; give another --out, or --fresh to begin again")


def last_of_trainer(folder: Path) -> str | None:
    """Of TRL's checkpoints, which are whole once their state is written."""
    found = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").exists()]
    return str(max(found, key=step_of)) if found else None
