"""What `parallax train` runs: one stage, or all, for one perspective. Puts the parts together; each is owned elsewhere."""
from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

from configuration import HERE, STAGES, Configuration, ConfigurationError, read

COMMANDS = {"sft": ("supervised",), "dpo": ("preference",), "gguf": (), "all": STAGES}


def plan(configuration: Configuration, command: str, perspective: str, data: Path, out: Path) -> dict:
    """What would be done, in every number; needs no torch."""
    side = configuration.side(perspective)
    told = {"perspective": perspective, "side": side, "engine": configuration["engine"], "base": configuration["base"], "lora": configuration["lora"], "compute": configuration["compute"], "data": str(data), "stages": {}}
    for name in COMMANDS[command]:
        told["stages"][name] = {**configuration.stage(name), "out": str(out / perspective / name)}
    if configuration["engine"] == "trl":
        from trl_engine import arguments

        told["trl"] = {name: arguments(configuration, perspective, name, data, out) for name in COMMANDS[command]}
    if converts(configuration, command):
        told["gguf"] = str(out / perspective / "adapter.gguf")
    return told


def converts(configuration: Configuration, command: str) -> bool:
    """llama.cpp serves a GGUF; vLLM, which serves the larger bases, takes PEFT's folder as it is."""
    if command == "gguf" and configuration["engine"] == "trl":
        raise ConfigurationError(f"{configuration.file.name}: adapters of {configuration['base']['model']} are served by vLLM from PEFT's folder, so there is nothing to convert")
    return command in ("gguf", "all") and configuration["engine"] == "prefix-tree"


def opened(configuration: Configuration):
    """Tokenizer and the base with an untrained adapter, in the configured precision; the adapter itself always in float32."""
    # progress bars and advice on tokenizers would bury the steps in the log
    os.environ.update(TQDM_DISABLE="1", TRANSFORMERS_VERBOSITY="error")
    warnings.filterwarnings("ignore", message="Could not find a config file")
    import torch

    from base_model import fetch, load, with_lora

    compute = configuration["compute"]
    torch.set_num_threads(compute["threads"])
    torch.manual_seed(configuration["seed"])
    tokenizer, base = load(fetch(configuration["base"], HERE / "work"))
    return tokenizer, with_lora(base.to(getattr(torch, compute["precision"])), configuration["lora"])


def run_stage(configuration: Configuration, perspective: str, stage: str, data: Path, out: Path, say, feedback: Path | None = None) -> None:
    import checkpoints
    import curves
    import rows

    folder, start = out / perspective / stage, out / perspective / "supervised" if stage == "preference" else None
    if start:
        checkpoints.check_base(start, configuration["base"])
    told = rows.load(data)
    if feedback and stage == "preference":
        told = rows.with_preferred(told, feedback, perspective, configuration.side(perspective))
    manifest = checkpoints.manifest(configuration, perspective, stage, [*told.files, configuration.texts], start)
    checkpoints.same_run(folder, manifest)
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "manifest.json"
    if done.exists() and "ended" in json.loads(done.read_text()):
        say(f"{stage} is finished already")
        return
    checkpoints.write_json(done, manifest)
    ended = supervise(configuration, perspective, stage, told, folder, start, say)
    checkpoints.write_json(done, {**manifest, "ended": ended})
    curves.draw(folder, f"{perspective}, {stage}")
    say(f"{stage} ended after {ended['step']} steps: {ended['why']}")


def supervise(configuration: Configuration, perspective: str, stage: str, told, folder: Path, start: Path | None, say) -> dict:
    import torch

    import checkpoints
    from encoding import Encoder
    from learn import Held, learn, logged, measurements, put
    from measure import balanced, perplexity
    from step_loss import StepLoss

    rule, measured = configuration.stage(stage), configuration["measure"]
    tokenizer, model = opened(configuration)
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if start:
        put(parameters, checkpoints.weights(start))
    held = Held(balanced(told.held_out, measured["pairs"], configuration["seed"]), configuration.texts.read_text(encoding="utf-8").splitlines())
    encoder = Encoder(tokenizer, configuration["base"]["document_start"], configuration["base"]["answer_end"])
    loss = StepLoss(encoder, configuration.side(perspective), {"own": 0, "preference": 0, "neutral": 0, **rule["weights"]}, rule.get("loss"))
    ended = learn(model, parameters, loss, told, held, rule, configuration.told, folder, configuration["seed"], say)
    # else a fixed number of steps was asked for
    if rule["until"] is not None:
        with torch.no_grad(), model.disable_adapter():
            base = perplexity(model, encoder, held.texts)
        chosen = checkpoints.best(folder, measurements(logged(folder / "log.jsonl")), measured["most_perplexity"] * base)
        if chosen["step"] != ended["step"]:
            put(parameters, checkpoints.weights(folder / f"checkpoint-{chosen['step']}"))
        say(f"step {chosen['step']} is the one that is kept")
        ended |= {"chosen": {key: chosen[key] for key in ("step", "own_likelier", "own", "other", "perplexity")}, "base_perplexity": base}
    model.save_pretrained(folder)
    return ended


def convert(configuration: Configuration, perspective: str, out: Path, say) -> None:
    """Every finished stage as the file that llama.cpp serves, beside its adapter, so that they can be compared; the last one is the perspective's."""
    import checkpoints
    from base_model import digest
    from gguf_adapter import write

    mine = out / perspective
    finished = [name for name in STAGES if (mine / name / "adapter_model.safetensors").exists()] or [STAGES[0]]
    for stage in finished:
        checkpoints.check_base(mine / stage, configuration["base"])
        part = mine / stage / "adapter.part"
        write(mine / stage, part, configuration["base"], f"{perspective}-{configuration['version']}", configuration["version"])
        part.replace(mine / stage / "adapter.gguf")
    target = mine / "adapter.gguf"
    shutil.copyfile(mine / finished[-1] / "adapter.gguf", target.with_suffix(".part"))
    target.with_suffix(".part").replace(target)
    checkpoints.write_json(mine / "adapter.json", {"file": target.name, "sha256": digest(target), "bytes": target.stat().st_size, "stage": finished[-1]})
    say(f"{target} is written, {target.stat().st_size} bytes, from the {finished[-1]} stage")


def work(asked: argparse.Namespace) -> None:
    configuration = read(asked.config)
    if asked.dry_run:
        print(json.dumps(plan(configuration, asked.command, asked.perspective, asked.data, asked.out), indent=2))
        return
    mine = asked.out / asked.perspective
    mine.mkdir(parents=True, exist_ok=True)

    def say(text: str) -> None:
        print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {asked.perspective} {text}", flush=True)

    with (mine / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"another process trains in {mine}: wait for it, or give another --out") from None
        for stage in COMMANDS[asked.command]:
            if asked.fresh:
                shutil.rmtree(mine / stage, ignore_errors=True)
            if configuration["engine"] == "trl":
                from trl_engine import run

                run(configuration, asked.perspective, stage, asked.data, asked.out, say, feedback=asked.feedback)
            else:
                run_stage(configuration, asked.perspective, stage, asked.data, asked.out, say, asked.feedback)
        if converts(configuration, asked.command):
            convert(configuration, asked.perspective, asked.out, say)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="train.py", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--perspective", required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of `parallax datasets build`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--feedback", type=Path, help="folder of `parallax datasets feedback`: people's choices join the preference stage")
    parser.add_argument("--fresh", action="store_true", help="begin the stages again instead of going on from their checkpoints")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, with every number")
    asked = parser.parse_args(arguments)
    try:
        work(asked)
    except (ConfigurationError, ValueError, RuntimeError) as wrong:
        if type(wrong).__module__ == "builtins" and not isinstance(wrong, ValueError):
            raise
        print(f"train.py: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
