"""A stage's log as one picture, written as SVG by hand: five small panels over the steps. Needs the standard library only."""
from __future__ import annotations

import json
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, BETWEEN = 460, 150, 60, 40, 70
COLOURS = ("#3b6ea5", "#b4632d")
# title, the log's keys with their names, and how wide the running mean is (1: as measured)
PANELS = (
    ("loss", (("loss", "loss"), ("own_nll", "negative log-likelihood of the own side")), 10),
    ("margin between the sides, training batches (mean log-probability a token)", (("margin", "own minus other"),), 10),
    ("share of pairs with the own side likelier", (("accuracy", "training batches"), ("own_likelier", "held-out topics")), 10),
    ("mean log-probability a token, held-out topics", (("own", "own side"), ("other", "other side")), 1),
    ("perplexity of neutral prose", (("perplexity", "perplexity"),), 1),
)


def series(lines: list[dict], key: str, window: int) -> list[tuple[float, float]]:
    found = [(line["step"], line[key]) for line in lines if key in line]
    measured = window == 1 or key == "own_likelier"
    return found if measured else [(step, sum(value for _, value in found[max(0, n - window + 1):n + 1]) / (n + 1 - max(0, n - window + 1))) for n, (step, _) in enumerate(found)]


def ticks(low: float, high: float) -> list[float]:
    return [low + (high - low) * part / 3 for part in range(4)]


def panel(title: str, many: list[tuple[str, list[tuple[float, float]]]], number: int, last: float) -> str:
    top = TOP + number * (HEIGHT + BETWEEN)
    values = [value for _, points in many for _, value in points]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    across = lambda step: LEFT + WIDTH * step / max(1, last)
    down = lambda value: top + HEIGHT * (high - value) / (high - low)
    parts = [f'<text x="{LEFT}" y="{top - 10}" font-weight="bold">{escape(title)}</text>', f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>']
    for value in ticks(low, high):
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{down(value):.1f}" y2="{down(value):.1f}" stroke="#e4e4e4"/><text x="{LEFT - 6}" y="{down(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for step in ticks(0, last):
        parts.append(f'<text x="{across(step):.1f}" y="{top + HEIGHT + 14}" text-anchor="middle">{step:.0f}</text>')
    for place, (name, points) in enumerate(many):
        line = " ".join(f"{across(step):.1f},{down(value):.1f}" for step, value in points)
        dashes = ' stroke-dasharray="5 3"' if place else ""
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[place]}" stroke-width="1.6"{dashes}/>')
        parts.append(f'<text x="{LEFT + place * WIDTH / 2}" y="{top + HEIGHT + 30}" fill="{COLOURS[place]}">{"- - " if place else "— "}{escape(name)}</text>')
    return "".join(parts)


def svg(lines: list[dict], title: str) -> str:
    last = max((line["step"] for line in lines), default=0)
    shown = []
    for name, keys, window in PANELS:
        many = [(label, points) for key, label in keys if (points := series(lines, key, window))]
        if many:
            shown.append(panel(name, many, len(shown), last))
    height = TOP + max(1, len(shown)) * (HEIGHT + BETWEEN)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}" font-family="sans-serif" font-size="11" role="img">'
            f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="white"/><text x="{LEFT}" y="16" font-size="13">{escape(title)}, by step</text>{"".join(shown)}</svg>\n')


def draw(folder: Path, title: str) -> Path:
    """`curves.svg` beside the log it is drawn from."""
    target = folder / "curves.svg"
    target.write_text(svg([json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()], title))
    return target
