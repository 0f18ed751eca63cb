"""The exports of `parallax datasets`, read and checked row by row: statement pairs and instructions of both sides in one file each.

Knows the files' layout (statements/SPLIT.jsonl, instructions/SPLIT.jsonl), not what is trained from them.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

OTHER = {"left": "right", "right": "left"}


class RowError(ValueError):
    """Says which row of which file is wrong, and how."""


@dataclass(frozen=True)
class Row:
    id: str
    kind: str
    cluster: str
    prompt: list[dict]
    left: str
    right: str

    def text(self, side: str) -> str:
        return self.left if side == "left" else self.right


def _row(found, place: str, kind: str | None) -> Row:
    if not isinstance(found, dict):
        raise RowError(f"{place}: wanted a JSON object, found {type(found).__name__}")
    for key in ("id", "left", "right"):
        if not isinstance(found.get(key), str) or not found[key].strip():
            raise RowError(f"{place}: {key!r} is missing or empty; run `parallax datasets build` again")
    prompt = found.get("prompt")
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(turns, list) or not turns or any(not isinstance(turn, dict) or not turn.get("content") or turn.get("role") not in ("system", "user", "assistant") for turn in turns):
        raise RowError(f"{place}: 'prompt' must be a question or a list of turns with role and content")
    if turns[-1]["role"] != "user":
        raise RowError(f"{place}: 'prompt' must end with the user's turn")
    row = Row(found["id"], kind or str(found.get("kind", "instruction")), str(found.get("cluster", found.get("topic", ""))), turns, found["left"], found["right"])
    if row.kind != "neutral" and row.left == row.right:
        raise RowError(f"{place}: both sides say the same, so there is nothing to prefer")
    return row


def _lines(path: Path) -> Iterator[tuple[str, object]]:
    """Every row with the words that say where it stands."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{path.name}, row {number}"
        try:
            yield place, json.loads(line)
        except json.JSONDecodeError as wrong:
            raise RowError(f"{place}: not JSON ({wrong.msg})") from None


def read(path: Path, kind: str | None = None) -> list[Row]:
    if not path.exists():
        raise RowError(f"{path} is not there: run `parallax datasets build` and give its folder with --data")
    found = [_row(row, place, kind) for place, row in _lines(path)]
    if not found:
        raise RowError(f"{path} has no rows")
    return found


@dataclass(frozen=True)
class Data:
    statements: list[Row]
    answers: list[Row]
    neutral: list[Row]
    held_out: list[Row]
    """Statement pairs of the validation topics: what training is stopped by. The test topics are not read here."""
    files: list[Path]


def load(folder: Path) -> Data:
    files = [folder / "statements/train.jsonl", folder / "instructions/train.jsonl", folder / "statements/validation.jsonl"]
    instructions = read(files[1])
    data = Data(read(files[0], "statement"), [row for row in instructions if row.kind != "neutral"], [row for row in instructions if row.kind == "neutral"], read(files[2], "statement"), files)
    both = {row.cluster for row in data.statements} & {row.cluster for row in data.held_out}
    if both:
        raise RowError(f"topics in both splits: {', '.join(sorted(both)[:5])}; run `parallax datasets build --fresh`")
    if not data.answers or not data.neutral:
        raise RowError(f"{files[1]} needs both instructions and neutral ones (kind 'neutral')")
    return data


def _preferred(path: Path, side: str) -> Iterator[Row]:
    """
    What people chose between two answers of one perspective (`parallax datasets feedback`): the chosen one stands as its side's text, the other as the
    other side's, for that is how the preference stage reads a row. They are one topic among the others, so that a few loud voices stay few.
    """
    for place, told in _lines(path):
        try:
            texts = {side: told["chosen"][0]["content"], OTHER[side]: told["rejected"][0]["content"]}
        except (KeyError, IndexError, TypeError):
            raise RowError(f"{place}: wanted a preference row with 'chosen' and 'rejected'; run `parallax datasets feedback` again") from None
        yield _row(told | texts | {"cluster": "feedback"}, place, "feedback")


def feedback_file(folder: Path, perspective: str) -> Path:
    path = folder / f"{perspective}.dpo.jsonl"
    if not path.exists():
        raise RowError(f"{path} is not there: give --feedback the folder of `parallax datasets feedback`, or leave it out where nobody chose between answers of {perspective}")
    return path


def with_preferred(data: Data, folder: Path, perspective: str, side: str) -> Data:
    path = feedback_file(folder, perspective)
    return replace(data, answers=[*data.answers, *_preferred(path, side)], files=[*data.files, path])
