"""Pictures are drawn from the log alone, and are well-formed."""
import json
import xml.etree.ElementTree as xml

from curves import draw, svg

SVG = "{http://www.w3.org/2000/svg}"


def lines(steps: int) -> list[dict]:
    return [{"step": 0, "own_likelier": 0.2, "own": -3.2, "other": -2.9, "perplexity": 40.0}] + [{"step": n, "loss": 2 / n, "own_nll": 3.0, "margin": n / 9, "accuracy": 0.5} for n in range(1, steps)] + [{"step": steps, "own_likelier": 0.9, "own": -3.0, "other": -3.5, "perplexity": 42.0}]


def test_every_panel_that_has_values_is_drawn_and_no_other(tmp_path):
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines(30)))
    tree = xml.parse(draw(tmp_path, "left & right")).getroot()
    words = " ".join(text.text for text in tree.iter(f"{SVG}text"))
    assert all(word in words for word in ("left & right", "loss", "margin", "held-out topics", "perplexity", "own side", "other side"))
    assert len(tree.findall(f"{SVG}polyline")) == 8
    supervised = svg([{key: value for key, value in line.items() if key not in ("margin", "accuracy")} for line in lines(30)], "x")
    assert "margin" not in supervised


def test_what_was_measured_is_not_smoothed():
    tree = xml.fromstring(svg(lines(30), "x"))
    points = [line.get("points").split() for line in tree.findall(f"{SVG}polyline")]
    assert [len(each) for each in points][-3:] == [2, 2, 2]


def test_one_step_and_a_flat_line_are_no_trouble():
    xml.fromstring(svg([{"step": 1, "loss": 1.0}], "x"))
    xml.fromstring(svg([], "nothing yet"))
