"""Sequences that share a tree score as they do alone, and losses are those of the papers."""
import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `parallax train` makes the environment")
pytest.importorskip("peft", reason="peft is not installed: `parallax train` makes the environment")
from objectives import divergence, dpo, simpo  # noqa: E402
from prefix_tree import mean_log_probs, token_log_probs, tree  # noqa: E402
from tiny import llama, trainable  # noqa: E402

ITEMS = [([0, 5, 6, 7, 8, 9], 3), ([0, 5, 6, 7, 8, 11, 12], 3), ([0, 5, 6, 40, 41], 3), ([3, 4], 1), ([0, 5, 6, 7, 8, 9], 3), ([0, 5, 6, 7], 1)]


def alone(model, ids, begin):
    logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return torch.stack([logits[n - 1, ids[n]] for n in range(begin, len(ids))])


def test_a_tree_shares_beginnings_and_scores_every_item_as_it_would_be_alone():
    model = llama().eval()
    packed = tree(ITEMS)
    assert packed.ids.shape[1] == 12
    with torch.no_grad():
        for found, (ids, begin) in zip(token_log_probs(model, packed), ITEMS):
            torch.testing.assert_close(found, alone(model, ids, begin), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(mean_log_probs(model, ITEMS)[2], alone(model, *ITEMS[2]).mean(), atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_separate_sequences():
    model = llama()
    weights = list(trainable(model).values())
    for weight in weights:
        torch.nn.init.normal_(weight, std=0.1)
    packed = torch.autograd.grad(mean_log_probs(model, ITEMS).sum(), weights)
    single = torch.autograd.grad(sum(alone(model, ids, begin).mean() for ids, begin in ITEMS), weights)
    for one, other in zip(packed, single):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_an_item_that_nothing_comes_before_is_refused():
    with pytest.raises(ValueError, match="cannot be scored from token 0"):
        tree([([1, 2], 0)])


def test_dpo_is_equation_7():
    own, other, own_before, other_before = (torch.tensor([value]) for value in (-10.0, -14.0, -12.0, -13.0))
    assert math.isclose(dpo(own, other, own_before, other_before, 0.3).item(), -math.log(1 / (1 + math.exp(-0.3 * (2 - -1)))), rel_tol=1e-6)
    assert math.isclose(dpo(own, other, own, other, 0.3).item(), math.log(2), rel_tol=1e-6)


def test_simpo_is_equation_6():
    assert math.isclose(simpo(torch.tensor([-2.0]), torch.tensor([-2.5]), 4.0, 1.0).item(), -math.log(1 / (1 + math.exp(-(4 * 0.5 - 1)))), rel_tol=1e-6)


def test_the_divergence_is_zero_only_where_nothing_moved():
    before = torch.tensor([[1.0, 2.0, 3.0]])
    assert divergence(before, before + 5).item() == pytest.approx(0, abs=1e-6)
    was, now = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[0.0, 0.0]])
    assert divergence(was, now).item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), rel=1e-5)
