"""Packs many token sequences into one by sharing what they begin with, and scores them; knows nothing of where they come from.

A training example here is short (a statement has 17 tokens) and its prompt long (the chat template's system message alone has
25), and both answers of a pair follow the same prompt. So a batch is laid out as a prefix tree: every token sees its
ancestors only, at the position it would have alone. Results are those of separate sequences, without padding, at less than
half the work.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

# token ids, and where the scored part begins (at 1 or later: something has to come before it)
Item = tuple[Sequence[int], int]


@dataclass(frozen=True)
class Tree:
    ids: torch.Tensor
    positions: torch.Tensor
    parents: torch.Tensor
    sees: torch.Tensor
    paths: list[torch.Tensor]
    """For each item the nodes of its scored tokens."""


def tree(items: Sequence[Item]) -> Tree:
    ids: list[int] = []
    parents: list[int] = []
    depth: list[int] = []
    child: dict[tuple[int, int], int] = {}
    paths = []
    for tokens, begin in items:
        if not 1 <= begin < len(tokens):
            raise ValueError(f"an item of {len(tokens)} tokens cannot be scored from token {begin}")
        node, path = -1, []
        for place, token in enumerate(tokens):
            found = child.get((node, token))
            if found is None:
                found = child[(node, token)] = len(ids)
                ids.append(token)
                parents.append(node)
                depth.append(place)
            node = found
            if place >= begin:
                path.append(node)
        paths.append(torch.tensor(path))
    sees = torch.zeros(len(ids), len(ids), dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            sees[node] = sees[parent]
        sees[node, node] = True
    return Tree(torch.tensor([ids]), torch.tensor([depth]), torch.tensor(parents), sees[None, None], paths)


def inner(model):
    """The causal model itself, whether PEFT wraps it or not."""
    return model.base_model.model if hasattr(model, "peft_config") else model


def logits(model, packed: Tree) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (float32) that predict each scored token, and the number of each node's row there (-1: not scored)."""
    scored = torch.unique(torch.cat(packed.paths))
    causal = inner(model)
    hidden = causal.model(input_ids=packed.ids, position_ids=packed.positions, attention_mask=packed.sees, use_cache=False).last_hidden_state[0]
    row = torch.full((packed.ids.shape[1],), -1)
    row[scored] = torch.arange(len(scored))
    return causal.lm_head(hidden[packed.parents[scored]]).float(), row


def token_log_probs(model, packed: Tree) -> list[torch.Tensor]:
    """For each item the log-probability of each of its scored tokens."""
    found, row = logits(model, packed)
    scored = torch.unique(torch.cat(packed.paths))
    wanted = packed.ids[0, scored].unsqueeze(1)
    each = (found.gather(1, wanted) - found.logsumexp(-1, keepdim=True)).squeeze(1)
    return [each[row[path]] for path in packed.paths]


def mean_log_probs(model, items: Sequence[Item]) -> torch.Tensor:
    """Mean log-probability a token of each item."""
    return torch.stack([each.mean() for each in token_log_probs(model, tree(items))])
