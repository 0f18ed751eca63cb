"""The split keeps whole topics apart."""
import pytest

from build_data import HERE
from topics import Pair, choose_held_out, families, family_of, label_key, read_pairs, split_by_family, tidy

KNOWN = families(HERE / "data/topic-families.json")


def test_the_file_must_be_the_configured_one(config, tmp_path):
    other = tmp_path / "twinviews-13k.csv"
    other.write_text('"l","r","topic"\n"a","b","c"\n')
    with pytest.raises(ValueError, match="SHA-256"):
        read_pairs(other, config["source"]["sha256"], KNOWN)


@pytest.mark.parametrize("one, other", [("Abortion", "abortion rights"), ("Gun Control", "gun control (2)"), ("LGBTQ+ Rights", "Social Issues: LGBTQ+ Rights"), ("Death Penalty", "capital punishment")])
def test_near_duplicate_labels_are_one_family(one, other):
    assert family_of(label_key(one), KNOWN) == family_of(label_key(other), KNOWN)


def test_no_family_is_on_both_sides(parts):
    split, _ = parts
    assert not {pair.family for pair in split.train} & {pair.family for pair in split.held_out}
    assert not {pair.topic for pair in split.train} & {pair.topic for pair in split.held_out}


def test_nothing_that_trains_mentions_a_held_out_family(parts):
    split, _ = parts
    patterns = [KNOWN[name] for name in split.held_families]
    for pair in split.train:
        assert not any(pattern.search(f"{pair.topic}\n{pair.left}\n{pair.right}".casefold()) for pattern in patterns)


def test_no_training_statement_is_held_out(parts):
    split, _ = parts
    held = {tidy(text).casefold() for pair in split.held_out for text in (pair.left, pair.right)}
    assert not held & {text.casefold() for pair in split.train for text in (pair.left, pair.right)}


def test_a_near_repetition_never_trains():
    held = Pair("net neutrality", "net neutrality", "The network should treat all data traffic equally everywhere.", "Providers should decide prices.")
    near = Pair("internet", "other: internet", "The network should treat all data traffic equally.", "Providers should be left alone.")
    split = split_by_family([held, near], KNOWN, ["net neutrality"])
    assert split.train == [] and split.dropped["nearly repeats a held-out statement"] == 1


def test_fixtures_always_train_and_the_draw_is_repeatable(parts, config):
    split, _ = parts
    assert not {"healthcare", "climate change", "taxation", "immigration"} & set(split.held_families)
    rule = config["split"]
    everything = split.train + split.held_out
    draws = [choose_held_out(everything, KNOWN, rule["never_held_out"], 20, 6, 300, 3) for _ in range(2)]
    assert draws[0] == draws[1]


def test_every_held_out_family_is_asked_once(parts):
    import json

    asked = json.loads((HERE / "data/evaluation-questions.json").read_text())
    assert sorted(asked["held_out"]) == parts[0].held_families
