"""What an adapter was made of is on record, and one of another base, or of other inputs, is refused. Needs no torch."""
import json
from dataclasses import replace

import pytest

from checkpoints import TrainingError, best, check_base, last, manifest, same_run, write_json
from configuration import HERE, read

CONFIGURATION = read(HERE / "configs/embedded.json")


@pytest.fixture
def adapter(tmp_path):
    folder = tmp_path / "supervised"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    write_json(folder / "manifest.json", manifest(CONFIGURATION, "progressive", "supervised", [rows], None))
    return folder


def test_the_manifest_names_seed_versions_and_digests(adapter):
    told = json.loads((adapter / "manifest.json").read_text())
    assert told["seed"] == CONFIGURATION["seed"] and told["side"] == "left" and "python" in told["versions"]
    (file,) = told["inputs"].values()
    assert file == {"sha256": "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356", "bytes": 3}


def test_an_adapter_of_another_base_is_refused(adapter):
    check_base(adapter, CONFIGURATION["base"])
    with pytest.raises(TrainingError, match="is an adapter of smollm2-135m-instruct .*this configuration's base is other"):
        check_base(adapter, CONFIGURATION["base"] | {"model": "other", "sha256": "0" * 64})
    (adapter / "manifest.json").unlink()
    with pytest.raises(TrainingError, match="train its stage first"):
        check_base(adapter, CONFIGURATION["base"])


def test_a_run_does_not_go_on_with_other_inputs_or_settings(adapter, tmp_path):
    wanted = manifest(CONFIGURATION, "progressive", "supervised", [tmp_path / "rows.jsonl"], None)
    same_run(adapter, wanted)
    (tmp_path / "rows.jsonl").write_text("{}\n{}\n")
    with pytest.raises(TrainingError, match="another inputs.*--fresh"):
        same_run(adapter, manifest(CONFIGURATION, "progressive", "supervised", [tmp_path / "rows.jsonl"], None))
    other = replace(CONFIGURATION, told=CONFIGURATION.told | {"seed": 1})
    with pytest.raises(TrainingError, match="another configuration"):
        same_run(adapter, manifest(other, "progressive", "supervised", [], None) | {"inputs": wanted["inputs"]})
    with pytest.raises(TrainingError, match="another side"):
        same_run(adapter, wanted | {"side": "right"})


def test_a_half_written_checkpoint_is_none(tmp_path):
    for step in (50, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert last(tmp_path) is None
    (tmp_path / "checkpoint-50/state.json").write_text("{}")
    assert last(tmp_path).name == "checkpoint-50"


def test_the_best_kept_checkpoint_is_the_likeliest_within_the_limit(tmp_path):
    for step in (40, 80, 120):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}/state.json").write_text("{}")
    measured = [{"step": step, "own_likelier": own, "perplexity": lost} for step, own, lost in ((0, 0.2, 40.0), (40, 0.8, 41.0), (80, 0.9, 43.0), (100, 1.0, 40.0), (120, 0.9, 42.0), (140, 0.95, 45.0))]
    assert best(tmp_path, measured, 44.0)["step"] == 120, "100 was measured and not kept, 140 is beyond the limit, 80 lost more"
    assert best(tmp_path, measured, 46.0)["step"] == 140, "the end needs no checkpoint"
    assert best(tmp_path, measured, 39.0)["step"] == 140, "nothing within the limit: the last"
