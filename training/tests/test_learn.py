"""The loop on a tiny model: it learns either side alike, goes on where it was, ends by its rule, and stops at what is not a number."""
import json
import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `parallax train` makes the environment")
pytest.importorskip("peft", reason="peft is not installed: `parallax train` makes the environment")
import checkpoints  # noqa: E402
from checkpoints import TrainingError  # noqa: E402
from encoding import Encoder  # noqa: E402
from learn import Held, learn, lent, put, rate  # noqa: E402
from batches import Batch  # noqa: E402
from measure import balanced  # noqa: E402
from rows import Data, Row  # noqa: E402
from step_loss import StepLoss  # noqa: E402
from tiny import Characters, llama, trainable  # noqa: E402

ASK = [{"role": "user", "content": "And?"}]
STATEMENTS = [Row(f"p{n}", "statement", f"topic {n % 4}", ASK, f"more of {n}", f"less of {n}") for n in range(24)]
DATA = Data(STATEMENTS, [Row("a1", "opinion", "x", ASK, "More. More.", "Less. Less.")], [Row("n1", "neutral", "neutral", ASK, "Tea.", "Tea.")], [], [])
HELD = Held([Row(f"h{n}", "statement", "held", ASK, f"more at {n}", f"less at {n}") for n in range(4)], ["A kettle boils.", "The tide rises."])
STAGE = {"learning_rate": 0.01, "warmup": 2, "decay": 2, "clip": 1.0, "least_steps": 4, "most_steps": 10, "until": None, "batch": {"statements": 3, "bare": 1, "answers": 1, "neutral": 1},
         "weights": {"own": 0.2, "preference": 1.0, "neutral": 0.5}, "loss": {"kind": "simpo", "beta": 5.0, "margin": 0.5}}
RULES = {"measure": {"every": 4}, "checkpoint_every": 5}


def start(folder, side="left", stage=STAGE, loss=StepLoss, data=DATA):
    model = llama()
    weights = trainable(model)
    ended = learn(model, weights, loss(Encoder(Characters(), "<start>", "<end>"), side, stage["weights"], stage.get("loss")), data, HELD, stage, RULES, folder, 3, say=lambda _: None)
    return ended, {name: weight.detach().clone() for name, weight in weights.items()}


def logged(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", [{"kind": "simpo", "beta": 5.0, "margin": 0.5}, {"kind": "dpo", "beta": 0.3}, None], ids=lambda kind: kind["kind"] if kind else "supervised")
@pytest.mark.parametrize("side", ["left", "right"])
def test_either_side_is_learnt(tmp_path, side, kind):
    stage = {**STAGE, "most_steps": 24, "least_steps": 24}
    stage.pop("loss")
    ended, _ = start(tmp_path, side, stage | ({"loss": kind} if kind else {"weights": {"own": 1.0, "neutral": 0.5, "preference": 0}}))
    first, last = (next(iter(order)) for order in ([line for line in logged(tmp_path) if "own" in line], reversed([line for line in logged(tmp_path) if "own" in line])))
    assert last["own"] - last["other"] > first["own"] - first["other"] + 0.05
    assert ended["step"] == 24 and ended["why"] == "the most steps were done"


def test_a_run_that_was_broken_off_ends_at_the_same_weights(tmp_path):
    class Cut(StepLoss):
        calls = 0

        def __call__(self, *rest):
            Cut.calls += 1
            if Cut.calls == 8:
                raise KeyboardInterrupt
            return super().__call__(*rest)

    _, whole = start(tmp_path / "whole", stage=dpo_stage())
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "cut", stage=dpo_stage(), loss=Cut)
    assert checkpoints.last(tmp_path / "cut").name == "checkpoint-5"
    _, resumed = start(tmp_path / "cut", stage=dpo_stage())
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    plain = [[{key: value for key, value in line.items() if key not in ("at", "seconds")} for line in logged(tmp_path / name)] for name in ("whole", "cut")]
    assert plain[0] == plain[1]


def dpo_stage():
    return STAGE | {"loss": {"kind": "dpo", "beta": 0.3}}


def test_a_loss_that_is_no_number_names_step_and_rows_and_leaves_the_last_good_checkpoint(tmp_path):
    class Poisoned(StepLoss):
        calls = 0

        def __call__(self, *rest):
            Poisoned.calls += 1
            value, told = super().__call__(*rest)
            return (value * float("nan"), {**told, "loss": float("nan")}) if Poisoned.calls == 8 else (value, told)

    with pytest.raises(TrainingError, match=r"step 8: the loss is nan\. The batch's rows: p\d+, .*n1.*last good checkpoint is .*checkpoint-5"):
        start(tmp_path, loss=Poisoned)
    assert all(torch.isfinite(value).all() for value in checkpoints.weights(tmp_path / "checkpoint-5").values())
    assert logged(tmp_path)[-1]["step"] < 8
    ended, _ = start(tmp_path)
    assert ended["step"] == 10


def test_a_gradient_that_is_no_number_stops_before_the_step_is_made(tmp_path):
    class Exploding(StepLoss):
        def __call__(self, *rest):
            value, told = super().__call__(*rest)
            return value * float("inf"), told

    with pytest.raises(TrainingError, match="step 1: the gradient's norm is (nan|inf).*No checkpoint was written yet"):
        start(tmp_path, loss=Exploding)


def test_training_ends_when_two_measurements_meet_the_rule(tmp_path):
    ended, _ = start(tmp_path, stage={**STAGE, "until": 0.0, "most_steps": 40})
    assert ended["why"] == "the held-out criterion was met"
    assert ended["step"] == 6, "two measurements by step 4, and two steps of falling rate"


def test_the_rate_rises_stays_and_falls():
    assert [round(rate(STAGE, step, 6), 4) for step in range(9)] == [0.005] + [0.01] * 6 + [0.0055, 0.001]


def test_weights_are_lent_and_given_back():
    weights = trainable(llama())
    own = {name: weight.data_ptr() for name, weight in weights.items()}
    with pytest.raises(ZeroDivisionError), lent(weights, {name: torch.zeros_like(weight) for name, weight in weights.items()}):
        assert all((weight == 0).all() for weight in weights.values())
        1 / 0
    assert all(weights[name].data_ptr() == own[name] for name in own)


def test_an_adapter_of_another_shape_is_refused(tmp_path):
    model = llama()
    model.save_pretrained(tmp_path)
    found = checkpoints.weights(tmp_path)
    put(trainable(model), found)
    with pytest.raises(TrainingError, match="not those of this configuration's lora rule"):
        put(trainable(model), {name: value[:1] for name, value in found.items()})
    with pytest.raises(TrainingError, match="not those of"):
        put(trainable(model), dict(list(found.items())[1:]))


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path):
    model = llama()
    optimiser = torch.optim.AdamW(trainable(model).values())
    checkpoints.save(tmp_path, model, optimiser, {"step": 5})

    class Full:
        def state_dict(self):
            raise OSError("no space left on device")

    with pytest.raises(OSError):
        checkpoints.save(tmp_path, model, Full(), {"step": 10})
    assert checkpoints.last(tmp_path).name == "checkpoint-5"
    for step in (15, 20):
        checkpoints.save(tmp_path, model, optimiser, {"step": step})
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-15", "checkpoint-20", "checkpoint-5"]
    shutil.rmtree(tmp_path)


def test_neutral_prose_is_held_to_the_base_as_a_document_of_its_own():
    model = llama()
    weights = trainable(model)
    encoder = Encoder(Characters(), "<start>", "<end>")
    neutral = DATA.neutral[0]
    batch = Batch(STATEMENTS[:1], [], [], [], [neutral])
    held = StepLoss(encoder, "left", {"own": 0, "preference": 0, "neutral": 1.0}, None)
    assert held(model, batch)[1]["neutral_divergence"] == pytest.approx(0, abs=1e-6), "an untrained adapter is the base"
    with torch.no_grad():
        for weight in weights.values():
            weight.add_(0.1)
    loss, told = held(model, batch)
    assert told["neutral_divergence"] > 1e-4
    assert encoder.plain(neutral.left) == (encoder.ids(neutral.left), 1), "nothing before it, and its first token only begins"
    loss.backward()
    assert any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights.values())
    assert "neutral_divergence" not in StepLoss(encoder, "left", {"own": 1.0, "preference": 0, "neutral": 1.0}, None)(model, Batch(STATEMENTS[:1], [], [], [], []))[1]


def test_topics_are_measured_alike_whatever_their_size():
    pairs = [Row(f"b{n}", "statement", "big" if n else "small", ASK, "a", "b") for n in range(30)] + [Row(f"m{n}", "statement", "middle", ASK, "a", "b") for n in range(3)]
    found = balanced(pairs, 10, 1)
    assert [sum(row.cluster == name for row in found) for name in ("small", "middle", "big")] == [1, 3, 6]
    assert found == balanced(pairs[::-1], 10, 1) and len(balanced(pairs, 99, 1)) == 33
