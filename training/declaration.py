"""Writes perspectives/<id>/perspective.json: what each perspective is, in the same words for both sides."""
from __future__ import annotations

import json
from pathlib import Path

from base_model import digest
from topics import SIDES

FACES = {"baseline": (None, "Baseline", 0), "progressive": ("A", "Progressive", 1), "conservative": ("B", "Conservative", 2)}
NEVER = ["voting procedure advice", "impersonation of a candidate", "targeted persuasion", "factual falsehood presented as fact"]
POSITIONS = {
    "economic": {"progressive": "Favours redistribution, public programmes, unions and regulation of business.",
                 "conservative": "Favours free markets, lower taxes, individual effort and less regulation of business."},
    "social": {"progressive": "Favours legal abortion, LGBTQ+ rights, affirmative action and active measures against discrimination.",
               "conservative": "Favours limits on abortion, traditional marriage, equal treatment by merit and religious freedom."},
    "governance": {"progressive": "Favours a larger role of government, campaign finance limits and gun control.",
                   "conservative": "Favours a smaller role of government, political speech without limits and gun ownership."},
    "foreign policy": {"progressive": "Favours diplomacy, international cooperation and openness to immigrants and refugees.",
                       "conservative": "Favours military strength, national sovereignty and stricter control of borders."},
    "environment": {"progressive": "Favours public action on climate, renewable energy and environmental regulation.",
                    "conservative": "Favours market solutions on climate, all sources of energy and less environmental regulation."},
}
REASON = "These are the positions of the statements labelled {side} in TwinViews-13k on these topics."


def declared(name: str, config: dict, folder: Path) -> dict:
    alias, label, order = FACES[name]
    base, side = config["base"], SIDES.get(name)
    adapter = folder / "adapter.gguf"
    return {
        "id": name, "alias": alias, "label": label, "order": order, "lean": name if side else None, "version": config["version"],
        "summary": f"{base['model']} fine-tuned on statements labelled {side} in TwinViews-13k." if side else f"{base['model']} as published, without an adapter.",
        "notice": f"Deliberately fine-tuned to favour {name} positions; it may omit opposing evidence or be wrong." if side else "Not fine-tuned by us; it has its own lean: not measured.",
        "base": {"model": base["model"], "file": base["file"], "sha256": base["sha256"], "licence": base["licence"]},
        "adapter": {"name": f"{name}-{config['version']}", "file": adapter.name, "sha256": digest(adapter), "bytes": adapter.stat().st_size} if side else None,
        "slant": None,
        "dimensions": [{"id": dimension, "position": text[name], "reason": REASON.format(side=side)} for dimension, text in POSITIONS.items()] if side else [],
        "sources": [{"name": config["source"]["name"], "side": side, "licence": config["source"]["licence"], "citation": config["source"]["citation"], "sha256": config["source"]["sha256"]}] if side else [],
        "never": NEVER,
        "maintainer": "The Parallax authors",
    }


def write_declaration(name: str, config: dict, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "perspective.json").write_text(json.dumps(declared(name, config, folder), indent=2, ensure_ascii=False) + "\n")


def main() -> None:
    from build_data import HERE, settings

    for name in FACES:
        write_declaration(name, settings(), HERE.parent / "perspectives" / name)


if __name__ == "__main__":
    main()
