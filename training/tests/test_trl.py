"""TRL's own trainers take the arguments that a configuration becomes: both stages run on a tiny model, and the second goes on from the first."""
import json
import math

import pytest

import train
from configuration import HERE, Configuration, read
from trl_engine import arguments

SHIPPED = read(HERE / "configs/one-gpu-7b.json")


@pytest.fixture
def small(tmp_path):
    """The shipped configuration for a tiny model on this processor, and rows as `parallax datasets` exports them."""
    told = json.loads(SHIPPED.file.read_text())
    told["base"] |= {"model": "tiny"}
    told["compute"] = {"device": "cpu", "precision": "float32", "threads": 1}
    told["lora"] |= {"rank": 2, "alpha": 4, "blocks": 2}
    told["checkpoint_every"], told["measure"]["every"] = 2, 2
    for stage in told["stages"].values():
        stage |= {"most_steps": 4, "least_steps": 4, "rows_at_once": 2, "batch": {"answers": 4}, "learning_rate": 0.01, "most_tokens": 128}
    (tmp_path / "small.json").write_text(json.dumps(told))
    folder = tmp_path / "rows/trl"
    folder.mkdir(parents=True)
    said = lambda text: [{"role": "assistant", "content": text}]
    for split in ("train", "validation"):
        asked = [[{"role": "user", "content": f"and {n}?"}] for n in range(8)]
        (folder / f"progressive.sft.{split}.jsonl").write_text("".join(json.dumps({"prompt": ask, "completion": said("more of it")}) + "\n" for ask in asked))
        for kind in ("dpo", "statements.dpo"):
            (folder / f"progressive.{kind}.{split}.jsonl").write_text("".join(json.dumps({"prompt": ask, "chosen": said("more of it"), "rejected": said("less of it")}) + "\n" for ask in asked))
    return Configuration(told, tmp_path / "small.json"), tmp_path


def opened():
    """A tokenizer of single characters with a chat template, and a random llama for it."""
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {chr(n): n - 28 for n in range(32, 127)} | {"\n": 1, "<pad>": 2, "<end>": 3, "<unk>": 0}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab=words, merges=[], unk_token="<unk>")), pad_token="<pad>", eos_token="<end>", unk_token="<unk>")
    tokenizer.chat_template = "{% for turn in messages %}{{ turn['role'] + ': ' + turn['content'] + (eos_token if turn['role'] == 'assistant' else '\n') }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    model = LlamaForCausalLM(LlamaConfig(vocab_size=128, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, pad_token_id=2, eos_token_id=3, bos_token_id=3))
    return tokenizer, model


def test_both_stages_run_and_leave_adapters_with_their_manifests(small):
    pytest.importorskip("trl", reason="trl is not installed: `parallax train` makes the environment")
    from trl_engine import run

    configuration, folder = small
    said = lambda text: [{"role": "assistant", "content": text}]
    (folder / "progressive.dpo.jsonl").write_text(json.dumps({"id": "f1", "prompt": [{"role": "user", "content": "well?"}], "chosen": said("more, and why"), "rejected": said("more")}) + "\n")
    for stage in ("supervised", "preference"):
        run(configuration, "progressive", stage, folder / "rows", folder / "out", lambda _: None, opened(), feedback=folder)
        made = folder / "out/progressive" / stage
        told = json.loads((made / "manifest.json").read_text())
        assert told["ended"] == {"step": 4, "why": "the most steps were done"}
        losses = [line["loss"] for line in json.loads((made / "trainer-log.json").read_text()) if "loss" in line]
        assert all(math.isfinite(loss) for loss in losses)
        assert (made / "adapter_model.safetensors").exists() and (made / "checkpoint-4/trainer_state.json").exists()
    assert told["started_from"]["stage"] == "supervised"
    assert any(name.endswith("/progressive.dpo.jsonl") for name in told["inputs"]), "people's choices are named in the manifest"
    heard = []
    run(configuration, "progressive", "preference", folder / "rows", folder / "out", heard.append, opened(), feedback=folder)
    assert heard == ["preference is finished already"]


def test_a_loss_that_is_no_number_ends_trls_run_too(small):
    torch = pytest.importorskip("torch", reason="torch is not installed: `parallax train` makes the environment")
    pytest.importorskip("trl", reason="trl is not installed: `parallax train` makes the environment")
    from checkpoints import TrainingError
    from trl_engine import run

    configuration, folder = small
    configuration.told["stages"]["supervised"] |= {"most_steps": 20, "least_steps": 20}
    tokenizer, model = opened()
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"step 5: (loss|grad_norm) is nan.*lower the stage's learning_rate"):
        run(configuration, "progressive", "supervised", folder / "rows", folder / "out", lambda _: None, (tokenizer, model))
    assert "ended" not in json.loads((folder / "out/progressive/supervised/manifest.json").read_text())


def test_trls_configurations_know_every_argument():
    trl = pytest.importorskip("trl", reason="trl is not installed: `parallax train` makes the environment")
    from dataclasses import fields

    for stage, kind in (("supervised", trl.SFTConfig), ("preference", trl.DPOConfig)):
        known = {field.name for field in fields(kind)}
        assert set(arguments(SHIPPED, "progressive", stage, HERE, HERE)["arguments"]) <= known


def test_the_sides_differ_in_their_files_only():
    plans = [json.dumps(train.plan(SHIPPED, "all", name, HERE / "rows", HERE / "out")["trl"]).replace(name, "X") for name in SHIPPED["sides"]]
    assert plans[0] == plans[1]
