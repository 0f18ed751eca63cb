"""Rows to token ids with the place where scoring begins. Knows the chat template and nothing else of training."""
from __future__ import annotations

from prefix_tree import Item


class Encoder:
    """Statements are scored without an end, so that a side is not learnt as "stops early"; answers with theirs."""

    def __init__(self, tokenizer, document_start: str, answer_end: str) -> None:
        self.tokenizer, self.answer_end = tokenizer, answer_end
        self.start = tokenizer.convert_tokens_to_ids(document_start)
        if self.start is None or tokenizer.convert_ids_to_tokens(self.start) != document_start:
            raise ValueError(f"the tokenizer has no token {document_start!r} for the beginning of a document")

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _after(self, prompt: list[dict] | None, text: str) -> Item:
        # the template inserts its own system message where there is none, exactly as serving does
        before = [self.start] if prompt is None else self.ids(self.tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True))
        return before + self.ids(text), len(before)

    def statement(self, prompt: list[dict] | None, text: str) -> Item:
        """`prompt` None: as the beginning of a document."""
        return self._after(prompt, text)

    def answer(self, prompt: list[dict], text: str) -> Item:
        return self._after(prompt, text + self.answer_end)

    def plain(self, text: str) -> Item:
        """As the engine scores a text for an evaluation: nothing before it, so that its first token only begins. A guard that read it otherwise was off by a twentieth and more."""
        return self.ids(text), 1
