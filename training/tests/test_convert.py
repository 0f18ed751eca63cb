"""Every finished stage becomes a GGUF beside its adapter, and the last one is the perspective's."""
import json

import pytest

pytest.importorskip("torch", reason="torch is not installed: `parallax train` makes the environment")
gguf = pytest.importorskip("gguf", reason="gguf is not installed: `parallax train` makes the environment")
pytest.importorskip("peft", reason="peft is not installed: `parallax train` makes the environment")
from checkpoints import TrainingError, manifest, write_json  # noqa: E402
from configuration import HERE, Configuration, read  # noqa: E402
from tiny import llama  # noqa: E402
from train import convert  # noqa: E402


@pytest.fixture
def configuration():
    told = read(HERE / "configs/embedded.json")
    return Configuration(told.told | {"base": told["base"] | {"heads": 4, "kv_heads": 2}}, told.file)


def finished(folder, configuration, stage, seed):
    llama(seed).save_pretrained(folder / "progressive" / stage)
    write_json(folder / "progressive" / stage / "manifest.json", manifest(configuration, "progressive", stage, [], None))


def test_the_last_stage_is_the_perspectives(tmp_path, configuration):
    said = []
    finished(tmp_path, configuration, "supervised", 1)
    convert(configuration, "progressive", tmp_path, said.append)
    mine = tmp_path / "progressive"
    assert json.loads((mine / "adapter.json").read_text())["stage"] == "supervised"
    finished(tmp_path, configuration, "preference", 2)
    convert(configuration, "progressive", tmp_path, said.append)
    assert json.loads((mine / "adapter.json").read_text())["stage"] == "preference"
    assert (mine / "adapter.gguf").read_bytes() == (mine / "preference/adapter.gguf").read_bytes() != (mine / "supervised/adapter.gguf").read_bytes()
    assert gguf.GGUFReader(mine / "adapter.gguf").fields["general.name"].contents() == f"progressive-{configuration['version']}"
    assert not list(tmp_path.rglob("*.part"))


def test_nothing_trained_is_nothing_converted(tmp_path, configuration):
    with pytest.raises(TrainingError, match="train its stage first"):
        convert(configuration, "progressive", tmp_path, print)
    finished(tmp_path, configuration, "supervised", 1)
    other = Configuration(configuration.told | {"base": configuration["base"] | {"sha256": "0" * 64}}, configuration.file)
    with pytest.raises(TrainingError, match="is an adapter of"):
        convert(other, "progressive", tmp_path, print)
    assert not list(tmp_path.rglob("*.gguf"))
