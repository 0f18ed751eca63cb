"""Both sides read the same prompts, and only the sides' own statements differ."""
import json
import re

import pytest

from build_data import HERE
from conversations import common_words, drop_denied, joined, mixed, political, should_question, write_rows
from topics import Pair, alike, words


@pytest.fixture(scope="module")
def rows(parts, config):
    neutral = [{"prompt": line, "answer": "An answer."} for line in (HERE / "data/neutral-instructions.txt").read_text().splitlines()]
    return mixed(political(parts[0].train, config["conversations"], 400, 5), neutral, 0.27, 5)


def test_same_seed_same_bytes(parts, config, tmp_path):
    for name in ("one", "other"):
        write_rows(political(parts[0].train, config["conversations"], 60, 5), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_one_prompt_two_answers_of_matched_length(rows):
    politics = [row for row in rows if row["kind"] == "political"]
    assert all(row["prompt"] and row["left"] != row["right"] for row in politics)
    left, right = (sum(len(row[side].split()) for row in politics) for side in ("left", "right"))
    assert abs(left - right) / left < 0.05


def test_neutral_instructions_have_one_answer_for_both_and_their_share(rows):
    neutral = [row for row in rows if row["kind"] == "neutral"]
    assert all(row["left"] == row["right"] for row in neutral)
    assert 0.24 < len(neutral) / len(rows) < 0.30


def test_answers_are_two_to_four_different_statements(rows):
    for row in rows:
        if row["kind"] == "political":
            for side in ("left", "right"):
                sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", row[side])
                assert 2 <= len(sentences) <= 8, row
                assert len({sentence.casefold() for sentence in sentences}) == len(sentences)


def test_families_are_covered_evenly(rows):
    from collections import Counter

    counts = Counter(row["family"] for row in rows if row["kind"] == "political" and row["family"] != "other")
    assert max(counts.values()) - min(counts.values()) <= 2


def test_at_least_ten_templates(config):
    assert len(set(config["conversations"]["templates"])) >= 10


def test_no_neutral_instruction_is_evaluated():
    asked = json.loads((HERE / "data/evaluation-questions.json").read_text())["harmless"]
    trained = [words(line) for line in (HERE / "data/neutral-instructions.txt").read_text().splitlines()]
    assert len(asked) >= 10
    assert all(alike(words(prompt), other) < 0.6 for prompt in asked for other in trained)


def test_the_deny_list_drops_whole_pairs_and_counts_both_sides(tmp_path):
    rule = tmp_path / "denied.json"
    rule.write_text(json.dumps({"claims": [{"id": "flat", "pattern": "earth is flat", "source": "any atlas"}]}))
    good, left, right = Pair("a", "a", "Yes.", "No."), Pair("a", "a", "The Earth is flat.", "No."), Pair("a", "a", "Yes.", "The earth is flat.")
    assert drop_denied([good, left, right], rule) == ([good], {"flat": {"left": 1, "right": 1}})


def test_denied_claims_name_their_source():
    assert all(claim["source"] for claim in json.loads((HERE / "data/denied-claims.json").read_text())["claims"])


def test_openings_keep_names_and_questions_read_well():
    lower = common_words([Pair("t", "f", "We think the rich pay.", "So the taxes fall.")])
    assert joined("I think that ", "The rich should pay", lower) == "I think that the rich should pay."
    assert joined("I think that ", "Congress should act.", lower) == "I think that Congress should act."
    assert should_question("The taxes should be cut.", lower) == "Should the taxes be cut?"
    assert should_question("Taxes are high and should be cut.", lower) is None
