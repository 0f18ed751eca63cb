"""Exports are read with errors that name file and row; batches are the same rows in the same order for both sides."""
import json
from collections import Counter
from itertools import islice

import pytest

import rows
from batches import batches
from rows import RowError, load, with_preferred


def line(number: int, cluster: str = "taxes", **more) -> dict:
    return {"id": f"r{number}", "cluster": cluster, "prompt": "What about taxes?", "left": f"Raise them {number}.", "right": f"Lower them {number}."} | more


@pytest.fixture
def exported(tmp_path):
    """A folder as `parallax datasets build` writes it; keywords replace a file's rows."""
    def write(**files):
        told = {"statements/train": [line(n, "taxes" if n < 40 else "parks") for n in range(50)], "statements/validation": [line(90 + n, "trains") for n in range(4)],
                "instructions/train": [line(n, kind="opinion", prompt=[{"role": "user", "content": "And you?"}]) for n in range(60, 70)] + [line(n, "neutral", kind="neutral", left="Tea.", right="Tea.") for n in range(70, 75)]}
        told |= {name.replace("__", "/"): found for name, found in files.items()}
        for name, found in told.items():
            file = tmp_path / f"{name}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(found if isinstance(found, str) else "".join(json.dumps(row) + "\n" for row in found))
        return tmp_path
    return write


def test_an_export_is_read(exported):
    data = load(exported())
    assert [len(part) for part in (data.statements, data.answers, data.neutral, data.held_out)] == [50, 10, 5, 4]
    assert data.statements[0].prompt == [{"role": "user", "content": "What about taxes?"}]
    assert (data.statements[0].text("left"), data.statements[0].text("right")) == ("Raise them 0.", "Lower them 0.")


@pytest.mark.parametrize("row, says", [
    ('{"id": "x"', "train.jsonl, row 1: not JSON"),
    ("[1]", "row 1: wanted a JSON object, found list"),
    (json.dumps(line(1, left=" ")), "row 1: 'left' is missing or empty"),
    (json.dumps(line(1, left="Same.", right="Same.")), "row 1: both sides say the same"),
    (json.dumps(line(1, prompt=[])), "row 1: 'prompt' must be"),
    (json.dumps(line(1, prompt=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])), "row 1: 'prompt' must end with the user's turn"),
    ("", "has no rows"),
])
def test_a_bad_row_is_named(exported, row, says):
    with pytest.raises(RowError, match=says):
        load(exported(statements__train=row))


def test_a_topic_in_both_splits_stops_everything(exported):
    with pytest.raises(RowError, match="topics in both splits: taxes"):
        load(exported(statements__validation=[line(1, "taxes")]))


def test_a_missing_export_says_what_makes_it(tmp_path):
    with pytest.raises(RowError, match="parallax datasets build"):
        load(tmp_path)


def test_without_neutral_instructions_nothing_trains(exported):
    with pytest.raises(RowError, match="neutral"):
        load(exported(instructions__train=[line(1, kind="opinion")]))


SIZES = {"statements": 3, "bare": 2, "answers": 1, "neutral": 1, "prose": 2}


def test_a_resumed_run_sees_the_batches_that_were_left(exported):
    data = load(exported())
    whole = list(islice(batches(data, SIZES, 7), 9))
    assert list(islice(batches(data, SIZES, 7, first=5), 4)) == whole[5:]
    assert list(islice(batches(data, SIZES, 8), 9)) != whole
    assert [len(part) for part in (whole[0].statements, whole[0].bare, whole[0].answers, whole[0].neutral, whole[0].prose)] == [3, 2, 1, 1, 2]
    assert whole[0].names().count("r") == 9


def test_no_row_comes_again_before_all_of_its_topic_have(exported):
    data = load(exported())
    taken = [row for batch in islice(batches(data, {"statements": 5}, 3), 200) for row in batch.statements]
    for cluster, size in (("taxes", 40), ("parks", 10)):
        of_topic = [row.id for row in taken if row.cluster == cluster]
        for start in range(0, len(of_topic) - size + 1, size):
            assert max(Counter(of_topic[start:start + size]).values()) == 1
    small = sum(row.cluster == "parks" for row in taken) / len(taken)
    assert 0.3 < small < 0.37, "a third: topics are drawn by the root of their size (10 and 40), not by their size"


def test_the_row_type_knows_both_sides():
    assert rows.OTHER == {"left": "right", "right": "left"}


def test_what_people_chose_joins_the_answers_of_its_perspective(exported, tmp_path):
    said = {"id": "f1", "prompt": [{"role": "user", "content": "Taxes?"}], "chosen": [{"role": "assistant", "content": "Lower them, and say why."}], "rejected": [{"role": "assistant", "content": "Lower them."}]}
    given = tmp_path / "given"
    given.mkdir()
    (given / "conservative.dpo.jsonl").write_text(json.dumps(said) + "\n")
    data = load(exported())
    told = with_preferred(data, given, "conservative", "right")
    (row,) = told.answers[len(data.answers):]
    assert (row.kind, row.cluster, row.text("right"), row.text("left")) == ("feedback", "feedback", "Lower them, and say why.", "Lower them.")
    assert told.files[-1].name == "conservative.dpo.jsonl", "it is named by digest in the manifest"
    drawn = [row.id for batch in islice(batches(told, SIZES, 8), 40) for row in batch.answers]
    assert "f1" in drawn
    with pytest.raises(RowError, match="progressive.dpo.jsonl is not there"):
        with_preferred(data, given, "progressive", "left")
    (given / "conservative.dpo.jsonl").write_text(json.dumps(said) + "\n" + json.dumps(said | {"rejected": []}) + "\n")
    with pytest.raises(RowError, match="row 2: wanted a preference row"):
        with_preferred(data, given, "conservative", "right")
