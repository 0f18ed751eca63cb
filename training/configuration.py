"""A configuration of `parallax train`: read, checked with every mistake named, and nothing filled in silently. Needs the standard library only."""
from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
STAGES = ("supervised", "preference")
ENGINES = ("prefix-tree", "trl")
NUMBER = (int, float)
# name -> wanted type, for each part of the file
FORM = {
    "name": str, "version": str, "seed": int, "engine": str, "sides": dict,
    "base": {"model": str, "licence": str, "heads": int, "kv_heads": int},
    "lora": {"rank": int, "alpha": int, "dropout": NUMBER, "first_block": int, "blocks": int, "modules": list},
    "compute": {"device": str, "precision": str, "threads": int},
    "measure": {"every": int, "pairs": int, "texts": str, "most_perplexity": NUMBER},
    "checkpoint_every": int,
}
PRECISIONS = ("float32", "bfloat16")
STAGE = {"learning_rate": NUMBER, "warmup": int, "decay": int, "least_steps": int, "most_steps": int, "until": (*NUMBER, type(None)), "clip": NUMBER, "batch": dict, "weights": dict}
BATCH = ("statements", "bare", "answers", "neutral", "prose")
WEIGHTS = ("own", "preference", "neutral")
LOSSES = {"dpo": ("beta",), "simpo": ("beta", "margin")}
LICENCES = ("Apache-2.0", "MIT")
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class ConfigurationError(ValueError):
    """Every mistake of a file, one a line."""


@dataclass(frozen=True)
class Configuration:
    told: dict
    file: Path

    def __getitem__(self, key: str):
        return self.told[key]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    @property
    def texts(self) -> Path:
        return self.file.parent / self["measure"]["texts"]

    def stage(self, name: str) -> dict:
        return self["stages"][name]

    def side(self, perspective: str) -> str:
        if perspective not in self["sides"]:
            raise ConfigurationError(f"{self.file.name} trains {', '.join(self['sides'])}, not {perspective!r}")
        return self["sides"][perspective]


def _against(told, form: dict, where: str, wrong: list[str]) -> None:
    for key, wanted in form.items():
        path = f"{where}{key}"
        if key not in told:
            wrong.append(f"{path} is missing")
        elif isinstance(wanted, dict):
            if isinstance(told[key], dict):
                _against(told[key], wanted, f"{path}.", wrong)
            else:
                wrong.append(f"{path}: wanted an object")
        elif not isinstance(told[key], wanted) or (isinstance(told[key], bool) and wanted is not bool):
            names = wanted if isinstance(wanted, tuple) else (wanted,)
            wrong.append(f"{path}: wanted {' or '.join('nothing (null)' if name is type(None) else name.__name__ for name in names)}, found {json.dumps(told[key])}")


def _stage(name: str, stage: dict, wrong: list[str]) -> None:
    where = f"stages.{name}."
    before = len(wrong)
    _against(stage, STAGE, where, wrong)
    if len(wrong) > before:
        return
    if not 0 < stage["learning_rate"] < 0.1:
        wrong.append(f"{where}learning_rate: wanted more than 0 and less than 0.1, found {stage['learning_rate']}")
    if not 0 < stage["least_steps"] <= stage["most_steps"]:
        wrong.append(f"{where}least_steps must be at least 1 and at most most_steps")
    for part, allowed in (("batch", BATCH), ("weights", WEIGHTS)):
        for key, value in stage[part].items():
            if key not in allowed:
                wrong.append(f"{where}{part}.{key} is unknown; wanted {', '.join(allowed)}")
            elif not isinstance(value, NUMBER) or value < 0:
                wrong.append(f"{where}{part}.{key}: wanted a number that is not negative, found {json.dumps(value)}")
    if sum(value for key, value in stage["batch"].items() if key not in ("neutral", "prose") and isinstance(value, NUMBER)) < 1:
        wrong.append(f"{where}batch holds no row of a side")
    loss = stage.get("loss")
    if name == "preference" or loss is not None:
        kind = loss.get("kind") if isinstance(loss, dict) else None
        if kind not in LOSSES:
            wrong.append(f"{where}loss.kind: wanted {' or '.join(LOSSES)}, found {json.dumps(kind)}")
        else:
            wrong.extend(f"{where}loss.{key}: wanted a number" for key in LOSSES[kind] if not isinstance(loss.get(key), NUMBER))


def read(file: Path) -> Configuration:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"there is no configuration {file}; those here are {', '.join(sorted(path.name for path in (HERE / 'configs').glob('*.json')))}") from None
    except json.JSONDecodeError as bad:
        raise ConfigurationError(f"{file.name} is not JSON: {bad}") from None
    if not isinstance(told, dict):
        raise ConfigurationError(f"{file.name}: wanted an object")
    wrong: list[str] = []
    _against(told, FORM, "", wrong)
    stages = told.get("stages")
    if not isinstance(stages, dict) or sorted(stages) != sorted(STAGES):
        wrong.append(f"stages: wanted exactly {' and '.join(STAGES)}")
    else:
        for name in STAGES:
            _stage(name, stages[name] if isinstance(stages[name], dict) else {}, wrong)
    if not wrong:
        if told["engine"] not in ENGINES:
            wrong.append(f"engine: wanted {' or '.join(ENGINES)}, found {json.dumps(told['engine'])}")
        if told["compute"]["precision"] not in PRECISIONS:
            wrong.append(f"compute.precision: wanted {' or '.join(PRECISIONS)}, found {json.dumps(told['compute']['precision'])}")
        if told["measure"]["most_perplexity"] < 1:
            wrong.append(f"measure.most_perplexity: wanted how many times the base's perplexity a kept checkpoint may have, 1 or more, found {told['measure']['most_perplexity']}")
        if told["base"]["licence"] not in LICENCES:
            wrong.append(f"base.licence: wanted {' or '.join(LICENCES)}, found {json.dumps(told['base']['licence'])}: what is trained here is published")
        if sorted(told["sides"].values()) != ["left", "right"]:
            wrong.append("sides: wanted one perspective for left and one for right, trained by the same rules")
        if not 0 <= told["lora"]["first_block"] < told["lora"]["blocks"]:
            wrong.append("lora.first_block must be one of the blocks")
        wrong.extend(f"lora.modules: {name!r} is unknown; wanted some of {', '.join(MODULES)}" for name in told["lora"]["modules"] if name not in MODULES)
        wrong.extend(f"base.{key} is missing: the base is opened as that file, checked" for key in ("package", "file", "bytes", "sha256") if told["engine"] == "prefix-tree" and key not in told["base"])
    if wrong:
        raise ConfigurationError(f"{file.name}:\n  " + "\n  ".join(wrong))
    return Configuration(told, file)
