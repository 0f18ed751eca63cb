"""One batch's loss under one stage's rule, and what to write down about it. Knows no optimiser and no files."""
from __future__ import annotations

from dataclasses import dataclass

import torch

from batches import Batch
from encoding import Encoder
from objectives import divergence, dpo, simpo
from prefix_tree import Item, logits, token_log_probs, tree
from rows import OTHER


def scored(encoder: Encoder, batch: Batch, side: str) -> list[Item]:
    """What one side says in the batch, in the batch's order."""
    return [*(encoder.statement(row.prompt, row.text(side)) for row in batch.statements), *(encoder.statement(None, row.text(side)) for row in batch.bare),
            *(encoder.answer(row.prompt, row.text(side)) for row in batch.answers)]


@dataclass
class StepLoss:
    """`weights`: what each term counts; a term of weight 0 is not computed. `rule`: kind of preference loss and its numbers."""
    encoder: Encoder
    side: str
    weights: dict[str, float]
    rule: dict | None

    def before(self, model, batch: Batch) -> list[torch.Tensor] | None:
        """Log-probabilities under the reference, where the loss has one; to be called while `model` is the reference."""
        if self.rule is None or self.rule["kind"] != "dpo":
            return None
        with torch.no_grad():
            return token_log_probs(model, tree(scored(self.encoder, batch, self.side) + scored(self.encoder, batch, OTHER[self.side])))

    def preference(self, own: list[torch.Tensor], other: list[torch.Tensor], before: list[torch.Tensor] | None) -> torch.Tensor:
        if self.rule["kind"] == "simpo":
            return simpo(torch.stack([each.mean() for each in own]), torch.stack([each.mean() for each in other]), self.rule["beta"], self.rule["margin"])
        total = [torch.stack([each.sum() for each in part]) for part in (own, other, before[:len(own)], before[len(own):])]
        return dpo(*total, self.rule["beta"])

    def __call__(self, model, batch: Batch, before: list[torch.Tensor] | None = None) -> tuple[torch.Tensor, dict[str, float]]:
        ours = scored(self.encoder, batch, self.side)
        theirs = scored(self.encoder, batch, OTHER[self.side]) if self.rule else []
        found = token_log_probs(model, tree(ours + theirs))
        own, other = found[:len(ours)], found[len(ours):]
        nll = -torch.stack([each.mean() for each in own]).mean()
        loss, told = self.weights["own"] * nll, {"own_nll": nll.item()}
        if self.rule:
            preferred = self.preference(own, other, before)
            loss = loss + self.weights["preference"] * preferred
            margins = torch.stack([a.mean() - b.mean() for a, b in zip(own, other)]).detach()
            told |= {"preference": preferred.item(), "margin": margins.mean().item(), "accuracy": (margins > 0).double().mean().item()}
        if (batch.neutral or batch.prose) and self.weights["neutral"]:
            kept = self.kept(model, batch)
            loss = loss + self.weights["neutral"] * kept
            told["neutral_divergence"] = kept.item()
        return loss, {"loss": loss.item(), **told}

    def kept(self, model, batch: Batch) -> torch.Tensor:
        """
        How far neutral text has moved from the base's own distribution: as answers to instructions, and as plain documents, for statements
        that train as the beginning of a document would otherwise cost the language there.
        """
        packed = tree([*(self.encoder.answer(row.prompt, row.left) for row in batch.neutral), *(self.encoder.plain(row.left) for row in batch.prose)])
        with torch.no_grad(), model.disable_adapter():
            was, _ = logits(model, packed)
        return divergence(was, logits(model, packed)[0])
