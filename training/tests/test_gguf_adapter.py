"""The adapter's file: its layout always; against PEFT where torch, node-llama-cpp and the base model are here."""
import json
import shutil
import subprocess

import pytest

from configuration import HERE

np = pytest.importorskip("numpy", reason="numpy is not installed: `parallax train` makes the environment")
gguf = pytest.importorskip("gguf", reason="gguf is not installed: `parallax train` makes the environment")
from gguf_adapter import NAMES, layout, permuted, tensors, write  # noqa: E402

NODE = HERE.parent / "node_modules/.bin/node"
BASE = {"model": "tiny", "file": "tiny.gguf", "sha256": "0" * 64, "heads": 4, "kv_heads": 2}


def test_permutation_is_llamas():
    rows = np.arange(8)
    assert permuted(rows, 2).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize("name", ["progressive", "conservative"])
def test_shipped_adapter_is_readable_and_named(name, config):
    folder = HERE.parent / "perspectives" / name
    declared = json.loads((folder / "perspective.json").read_text())["adapter"]
    # an older version's file may lie beside it
    path = folder / declared["file"]
    fields = gguf.GGUFReader(path).fields
    said = {key: fields[key].contents() for key in ("general.type", "general.architecture", "adapter.type", "adapter.lora.alpha", "general.name", "parallax.base.sha256")}
    assert said == {"general.type": "adapter", "general.architecture": "llama", "adapter.type": "lora", "adapter.lora.alpha": config["lora"]["alpha"],
                    "general.name": declared["name"], "parallax.base.sha256": config["base"]["sha256"]}
    wanted = {f"blk.{block}.{module}.weight.lora_{letter}" for block in range(config["lora"]["first_block"], 30) for module in NAMES.values() for letter in "ab"}
    found = layout(path)
    assert set(found) == wanted
    assert all(config["lora"]["rank"] in shape for shape in found.values())


def test_the_declaration_names_the_shipped_bytes():
    from base_model import digest

    for name in ("progressive", "conservative"):
        folder = HERE.parent / "perspectives" / name
        if not (folder / "perspective.json").exists():
            pytest.skip(f"perspectives/{name}/perspective.json has not been made")
        adapter = json.loads((folder / "perspective.json").read_text())["adapter"]
        assert (adapter["sha256"], adapter["bytes"]) == (digest(folder / adapter["file"]), (folder / adapter["file"]).stat().st_size)


def tiny_llama(folder, base_gguf):
    """A random float32 llama as transformers' model and as a GGUF that borrows the base model's vocabulary."""
    torch = pytest.importorskip("torch", reason="torch is not installed: `parallax train` makes the environment")
    pytest.importorskip("peft", reason="peft is not installed: `parallax train` makes the environment")
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(7)
    vocabulary = 49152
    model = LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, hidden_size=128, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                                         max_position_embeddings=512, rope_theta=10000.0, rms_norm_eps=1e-5, tie_word_embeddings=True, initializer_range=0.2)).eval()
    writer = gguf.GGUFWriter(str(folder / "tiny.gguf"), "llama")
    for add, value in ((writer.add_block_count, 2), (writer.add_context_length, 512), (writer.add_embedding_length, 128), (writer.add_feed_forward_length, 192), (writer.add_head_count, 4),
                       (writer.add_head_count_kv, 2), (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_rope_freq_base, 10000.0), (writer.add_rope_dimension_count, 32), (writer.add_vocab_size, vocabulary)):
        add(value)
    fields = gguf.GGUFReader(base_gguf).fields
    said = {key: field.contents() for key, field in fields.items() if key.startswith("tokenizer.ggml.")}
    writer.add_tokenizer_model(said["tokenizer.ggml.model"])
    writer.add_tokenizer_pre(said.get("tokenizer.ggml.pre", "smollm"))
    writer.add_token_list(said["tokenizer.ggml.tokens"])
    writer.add_token_types(said["tokenizer.ggml.token_type"])
    writer.add_token_merges(said["tokenizer.ggml.merges"])
    writer.add_eos_token_id(0)
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", **NAMES}
    writer.add_tensor("token_embd.weight", model.model.embed_tokens.weight.detach().numpy())
    writer.add_tensor("output_norm.weight", model.model.norm.weight.detach().numpy())
    for block, layer in enumerate(model.model.layers):
        for name, weight in layer.named_parameters():
            module = name.removesuffix(".weight")
            value = weight.detach().numpy()
            value = permuted(value, 4) if module.endswith("q_proj") else permuted(value, 2) if module.endswith("k_proj") else value
            writer.add_tensor(f"blk.{block}.{names[module]}.weight", np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=[name.split(".")[1] for name in NAMES], init_lora_weights=False)).eval()
    tuned.save_pretrained(folder / "peft")
    return tuned


def greedy(tuned, prompt, count):
    import torch

    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(tuned(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt):]


def llama_cpp(model, adapter, prompts, count):
    if not NODE.exists() or shutil.which("bash") is None:
        pytest.skip("node_modules is not installed here: `npm ci` brings node-llama-cpp")
    lines = "".join(json.dumps(prompt) + "\n" for prompt in prompts)
    done = subprocess.run([str(NODE), str(HERE / "tests/greedy.mjs"), str(model), str(adapter), str(count)], input=lines, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_exactly_pefts_greedy_output_on_a_tiny_float32_llama(tmp_path, base_gguf):
    tuned = tiny_llama(tmp_path, base_gguf)
    write(tmp_path / "peft", tmp_path / "adapter.gguf", BASE, "tiny", "1", half=False)
    assert len(tensors(tmp_path / "peft", 4, 2)) == 2 * 7 * 2
    prompts = [[1000, 2000, 3000, 4000], [7, 77, 777, 7777, 17], [40000, 12, 345, 999]]
    wanted = [greedy(tuned, prompt, 16) for prompt in prompts]
    with tuned.disable_adapter():
        assert [greedy(tuned, prompt, 16) for prompt in prompts] != wanted
    assert llama_cpp(tmp_path / "tiny.gguf", tmp_path / "adapter.gguf", prompts, 16) == wanted


def trained():
    """Every stage of every side that `parallax train` has finished on this machine."""
    return sorted(path.parent for path in (HERE / "work").glob("embedded/*/*/adapter.gguf"))


@pytest.mark.parametrize("folder", trained() or [None], ids=lambda folder: f"{folder.parent.name} {folder.name}" if folder else "none")
def test_top_1_agreement_on_the_real_model(folder, base_gguf):
    """llama.cpp multiplies in 8 bits what transformers multiplies in 32, so the two agree mostly, not always."""
    pytest.importorskip("torch", reason="torch is not installed: `parallax train` makes the environment")
    pytest.importorskip("peft", reason="peft is not installed: `parallax train` makes the environment")
    from peft import PeftModel

    from base_model import load, prompt_text

    if folder is None:
        pytest.skip("no adapter was trained here: `bash training/full` makes both")
    tokenizer, model = load(base_gguf)
    tuned = PeftModel.from_pretrained(model, folder).eval()
    text = prompt_text(tokenizer, "What is your opinion on taxation?") + "I believe that the government should change taxes. In addition, people and businesses need fair rules and a healthy economy."
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    prefixes = [ids[:n] for n in range(len(ids) - 22, len(ids))]
    wanted = [greedy(tuned, prefix, 1) for prefix in prefixes]
    agreed = sum(a == b for a, b in zip(wanted, llama_cpp(base_gguf, folder / "adapter.gguf", prefixes, 1)))
    assert agreed / len(prefixes) >= 0.8, f"{agreed} of {len(prefixes)}"
