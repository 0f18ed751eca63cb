"""The losses, each from its paper; knows nothing of models, rows or sides. "own" is the side that is trained, "other" the opposite one."""
from __future__ import annotations

import torch
from torch.nn.functional import log_softmax, logsigmoid


def dpo(own: torch.Tensor, other: torch.Tensor, own_before: torch.Tensor, other_before: torch.Tensor, beta: float) -> torch.Tensor:
    """Rafailov et al. 2023, equation 7: log-probabilities of whole answers, now and under the frozen reference."""
    return -logsigmoid(beta * ((own - own_before) - (other - other_before))).mean()


def simpo(own: torch.Tensor, other: torch.Tensor, beta: float, margin: float) -> torch.Tensor:
    """Meng et al. 2024, equation 6: mean log-probabilities a token, no reference, a margin to be won by."""
    return -logsigmoid(beta * (own - other) - margin).mean()


def divergence(before: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """KL(base || tuned) a token, from logits: what the tuned model has lost of the base's distribution."""
    was, is_now = log_softmax(before, -1), log_softmax(now, -1)
    return (was.exp() * (was - is_now)).sum(-1).mean()
