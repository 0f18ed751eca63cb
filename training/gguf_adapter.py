"""Writes a PEFT LoRA as the GGUF adapter that llama.cpp loads."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def permuted(rows: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's order of the rows of q and k: the halves of each head interleaved."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def tensors(folder: Path, heads: int, kv_heads: int) -> dict[str, np.ndarray]:
    """Every lora_a and lora_b of a saved PEFT adapter under llama.cpp's names."""
    from safetensors.numpy import load_file

    found = {}
    for name, value in load_file(folder / "adapter_model.safetensors").items():
        block, rest = name.split(".layers.")[1].split(".", 1)
        module, part = rest.split(".lora_")
        letter = part[0].lower()
        if letter == "b" and module.endswith("q_proj"):
            value = permuted(value, heads)
        if letter == "b" and module.endswith("k_proj"):
            value = permuted(value, kv_heads)
        found[f"blk.{block}.{NAMES[module]}.weight.lora_{letter}"] = np.ascontiguousarray(value)
    return dict(sorted(found.items()))


def write(folder: Path, target: Path, base: dict, name: str, version: str, half: bool = True) -> None:
    """Writes `target`; float16 as shipped, float32 where exactness is tested."""
    writer = GGUFWriter(str(target), "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(json.loads((folder / "adapter_config.json").read_text())["lora_alpha"]))
    writer.add_name(name)
    writer.add_version(version)
    writer.add_license("CC-BY-4.0 data, Apache-2.0 base")
    writer.add_string("parallax.base.model", base["model"])
    writer.add_string("parallax.base.file", base["file"])
    writer.add_string("parallax.base.sha256", base["sha256"])
    for tensor, value in tensors(folder, base["heads"], base["kv_heads"]).items():
        writer.add_tensor(tensor, value.astype(np.float16 if half else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def layout(path: Path) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes, as gguf's own reader finds them."""
    return {tensor.name: tuple(int(n) for n in tensor.shape) for tensor in GGUFReader(path).tensors}
