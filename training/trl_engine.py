"""The same two stages through TRL's own trainers, for a base that a GPU carries. Knows how a configuration becomes TRL's arguments.

The embedded model takes the engine `prefix-tree` instead; training/README.md says why, with what was measured.
"""
from __future__ import annotations

from pathlib import Path

from configuration import Configuration
from rows import feedback_file

ROWS = {"supervised": ("sft",), "preference": ("dpo", "statements.dpo")}
# TRL's names: the length-normalised, reference-free loss is CPO's family, so only DPO's own is offered here
LOSSES = {"dpo": "sigmoid"}


def files(perspective: str, stage: str, data: Path) -> dict[str, list[str]]:
    """The exports of `parallax datasets` in TRL's format."""
    return {split: [str(data / "trl" / f"{perspective}.{kind}.{split}.jsonl") for kind in ROWS[stage]] for split in ("train", "validation")}


def arguments(configuration: Configuration, perspective: str, stage: str, data: Path, out: Path) -> dict:
    """Keyword arguments of SFTConfig or DPOConfig, and of LoraConfig; plain values, so that they can be shown."""
    rule, compute, lora = configuration.stage(stage), configuration["compute"], configuration["lora"]
    batch = rule.get("rows_at_once", 4)
    told = {
        "output_dir": str(out / perspective / stage), "seed": configuration["seed"], "data_seed": configuration["seed"], "learning_rate": rule["learning_rate"], "max_steps": rule["most_steps"],
        "per_device_train_batch_size": batch, "gradient_accumulation_steps": max(1, sum(rule["batch"].values()) // batch), "warmup_steps": rule["warmup"], "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": 0.1}, "max_grad_norm": rule["clip"], "weight_decay": 0.0, "max_length": rule.get("most_tokens", 1024), "gradient_checkpointing": compute["device"] == "cuda",
        "bf16": compute["precision"] == "bfloat16", "use_cpu": compute["device"] == "cpu", "logging_steps": 5, "logging_nan_inf_filter": False, "save_steps": configuration["checkpoint_every"], "save_total_limit": 2,
        "eval_strategy": "steps", "eval_steps": configuration["measure"]["every"], "report_to": "none", "dataset_num_proc": 1,
    }
    if stage == "preference":
        told |= {"loss_type": [LOSSES[rule["loss"]["kind"]]], "beta": rule["loss"]["beta"]}
        if rule["weights"].get("own"):
            # DPO with the supervised loss on the chosen answer added, which keeps its likelihood from falling
            told |= {"loss_type": [*told["loss_type"], "sft"], "loss_weights": [rule["weights"]["preference"], rule["weights"]["own"]]}
    else:
        told |= {"assistant_only_loss": False, "completion_only_loss": True, "packing": False}
    adapter = {"r": lora["rank"], "lora_alpha": lora["alpha"], "lora_dropout": lora["dropout"], "target_modules": lora["modules"], "layers_to_transform": list(range(lora["first_block"], lora["blocks"])), "task_type": "CAUSAL_LM"}
    return {"trainer": "SFTTrainer" if stage == "supervised" else "DPOTrainer", "arguments": told, "lora": adapter, "files": files(perspective, stage, data)}


def run(configuration: Configuration, perspective: str, stage: str, data: Path, out: Path, say, opened=None, feedback: Path | None = None) -> None:
    """`feedback`: people's choices, which join the preference stage. `opened`: tokenizer and model, where the caller has them; else the base by its name, from the hub or a folder."""
    import torch
    import trl
    from datasets import concatenate_datasets, load_dataset
    from peft import LoraConfig, PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

    import checkpoints

    told, base = arguments(configuration, perspective, stage, data, out), configuration["base"]
    if feedback and stage == "preference":
        told["files"]["train"].append(str(feedback_file(feedback, perspective)))
    folder, start = out / perspective / stage, out / perspective / "supervised"
    if stage == "preference":
        checkpoints.check_base(start, base)
    inputs = [Path(name) for names in told["files"].values() for name in names]
    manifest = checkpoints.manifest(configuration, perspective, stage, inputs, start if stage == "preference" else None)
    checkpoints.same_run(folder, manifest)
    if (folder / "adapter_model.safetensors").exists():
        return say(f"{stage} is finished already")
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints.write_json(folder / "manifest.json", manifest)
    if opened is None:
        precision = getattr(torch, configuration["compute"]["precision"])
        opened = (AutoTokenizer.from_pretrained(base["model"], revision=base.get("revision")), AutoModelForCausalLM.from_pretrained(base["model"], revision=base.get("revision"), dtype=precision))
    tokenizer, model = opened

    class Sound(TrainerCallback):
        """TRL goes on with a loss that is not a number; here it ends, and the checkpoint before it stays."""

        def on_log(self, args, state, control, logs=None, **_):
            for key in ("loss", "grad_norm"):
                value = (logs or {}).get(key)
                if value is not None and not abs(value) < float("inf"):
                    last = checkpoints.last_of_trainer(folder)
                    raise checkpoints.TrainingError(f"step {state.global_step}: {key} is {value}, in one of the last {args.logging_steps} steps. The last good checkpoint is {last or 'none'}; lower the stage's learning_rate and run again")

    def together(names: list[str]):
        # feedback has more columns than the exports: what trains is what all have
        parts = [load_dataset("json", data_files=name, split="train") for name in names]
        return concatenate_datasets([part.select_columns([column for column in parts[0].column_names if all(column in other.column_names for other in parts)]) for part in parts])

    loaded = {split: together(names) for split, names in told["files"].items()}
    kind = trl.SFTConfig if stage == "supervised" else trl.DPOConfig
    trainer_kind = trl.SFTTrainer if stage == "supervised" else trl.DPOTrainer
    if stage == "preference":
        model, adapter = PeftModel.from_pretrained(model, start, is_trainable=True), None
    else:
        adapter = LoraConfig(**told["lora"])
    trainer = trainer_kind(model=model, args=kind(**told["arguments"]), train_dataset=loaded["train"], eval_dataset=loaded["validation"], processing_class=tokenizer, peft_config=adapter, callbacks=[Sound()])
    trainer.train(resume_from_checkpoint=checkpoints.last_of_trainer(folder))
    trainer.save_model(str(folder))
    checkpoints.write_json(folder / "manifest.json", {**manifest, "ended": {"step": trainer.state.global_step, "why": "the most steps were done"}})
    checkpoints.write_json(folder / "trainer-log.json", trainer.state.log_history)
