"""What is measured while training: how likely held-out statements of both sides are, and how much neutral prose is lost. Trains nothing."""
from __future__ import annotations

import math
import random
from collections import defaultdict

import torch

from encoding import Encoder
from prefix_tree import mean_log_probs, token_log_probs, tree
from rows import OTHER, Row


def balanced(pairs: list[Row], count: int, seed: int) -> list[Row]:
    """As many of every topic as there are, up to `count` in all: a topic with a hundred pairs is still one topic."""
    dice, topics = random.Random(seed), defaultdict(list)
    for pair in sorted(pairs, key=lambda row: row.id):
        topics[pair.cluster].append(pair)
    queues = [dice.sample(topics[name], len(topics[name])) for name in sorted(topics)]
    found: list[Row] = []
    while len(found) < count and any(queues):
        found += [queue.pop() for queue in queues if queue][:count - len(found)]
    return found


@torch.no_grad()
def likelihood(model, encoder: Encoder, pairs: list[Row], own: str, at_once: int = 12) -> dict[str, float]:
    """Share of pairs whose own side is the likelier (mean log-probability a token), and both sides' means."""
    found = []
    for start in range(0, len(pairs), at_once):
        part = pairs[start:start + at_once]
        means = mean_log_probs(model, [encoder.statement(pair.prompt, pair.text(side)) for side in (own, OTHER[own]) for pair in part])
        found.append(means.view(2, -1))
    ours, theirs = torch.cat(found, 1)
    return {"own_likelier": (ours > theirs).double().mean().item(), "own": ours.mean().item(), "other": theirs.mean().item()}


@torch.no_grad()
def perplexity(model, encoder: Encoder, texts: list[str], at_once: int = 8) -> float:
    """Of plain prose, over all tokens together."""
    each = [part for start in range(0, len(texts), at_once) for part in token_log_probs(model, tree([encoder.plain(text) for text in texts[start:start + at_once]]))]
    return math.exp(-torch.cat(each).double().mean().item())
