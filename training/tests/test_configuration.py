"""Configurations are checked whole before anything is opened, and the shipped ones are right."""
import json

import pytest

import train
from configuration import HERE, ConfigurationError, read

SHIPPED = sorted((HERE / "configs").glob("*.json"))


@pytest.fixture
def changed(tmp_path):
    """A file like the embedded configuration, but for one place."""
    def write(path: str, value):
        told = json.loads((HERE / "configs/embedded.json").read_text())
        *folders, last = path.split(".")
        at = told
        for folder in folders:
            at = at[folder]
        at[last] = value
        file = tmp_path / "changed.json"
        file.write_text(json.dumps(told))
        return file
    return write


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_shipped_configurations_are_right_and_treat_both_sides_by_one_rule(file):
    told = read(file)
    plans = [train.plan(told, "all", name, HERE / "rows", HERE / "out") for name in told["sides"]]
    one, other = (json.dumps(plan).replace(plan["perspective"], "X").replace(plan["side"], "Y") for plan in plans)
    assert one == other
    assert told.texts.exists()


@pytest.mark.parametrize("path, value, says", [
    ("seed", "7", 'seed: wanted int, found "7"'),
    ("seed", True, "seed: wanted int, found true"),
    ("engine", "magic", "engine: wanted prefix-tree or trl"),
    ("compute.precision", "float8", "compute.precision"),
    ("base.licence", "llama3.1", "base.licence: wanted Apache-2.0 or MIT"),
    ("base.sha256", 3, "base"),
    ("sides", {"progressive": "left"}, "one perspective for left and one for right"),
    ("lora.first_block", 30, "lora.first_block"),
    ("lora.modules", ["lm_head"], "lora.modules: 'lm_head' is unknown"),
    ("stages.preference.loss", {"kind": "ppo"}, "stages.preference.loss.kind: wanted dpo or simpo"),
    ("stages.preference.loss", {"kind": "simpo", "beta": 1}, "stages.preference.loss.margin"),
    ("stages.supervised.learning_rate", 3, "stages.supervised.learning_rate"),
    ("stages.supervised.least_steps", 900, "least_steps"),
    ("stages.supervised.batch", {"neutral": 4, "prose": 2}, "holds no row of a side"),
    ("measure.most_perplexity", 0.9, "measure.most_perplexity: wanted how many times the base's perplexity"),
    ("stages.supervised.batch", {"tweets": 4}, "batch.tweets is unknown"),
    ("stages.supervised.weights", {"own": -1}, "weights.own"),
])
def test_a_mistake_is_named_with_its_place(changed, path, value, says):
    if path == "base.sha256":
        file = changed(path, value)
        told = json.loads(file.read_text())
        del told["base"]["sha256"]
        file.write_text(json.dumps(told))
    else:
        file = changed(path, value)
    with pytest.raises(ConfigurationError) as told:
        read(file)
    assert says in str(told.value)


def test_all_mistakes_are_named_at_once(changed, tmp_path):
    told = json.loads(changed("seed", "7").read_text())
    del told["name"]
    (tmp_path / "two.json").write_text(json.dumps(told))
    with pytest.raises(ConfigurationError, match=r"(?s)name is missing.*seed: wanted int"):
        read(tmp_path / "two.json")


@pytest.mark.parametrize("text, says", [("{", "is not JSON"), ("[]", "wanted an object")])
def test_a_file_that_is_no_configuration(tmp_path, text, says):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        read(tmp_path / "bad.json")
    with pytest.raises(ConfigurationError, match="embedded.json"):
        read(tmp_path / "none.json")


def test_an_adapter_that_vllm_serves_is_not_converted():
    with pytest.raises(ConfigurationError, match="vLLM"):
        train.plan(read(HERE / "configs/one-gpu-7b.json"), "gguf", "progressive", HERE, HERE)


def test_errors_of_the_command_are_one_line_and_exit_code_1(capsys, tmp_path):
    asked = ["sft", "--config", str(HERE / "configs/embedded.json"), "--perspective", "centrist", "--data", str(tmp_path), "--out", str(tmp_path), "--dry-run"]
    assert train.main(asked) == 1
    assert capsys.readouterr().err == "train.py: embedded.json trains progressive, conservative, not 'centrist'\n"
