"""
What transformers and PEFT say of a few texts, for the tests of the engine that serves them (test/fixtures/reference-scores.json).

`.cache/training-venv/bin/python training/reference_scores.py > test/fixtures/reference-scores.json`, after each release. In float32, from the
dequantised base and the adapters as trained; the engine computes with the quantised base and adapters in float16, so equal means nearly.
"""
import json
import sys
from pathlib import Path

import torch
from peft import PeftModel

from base_model import fetch, load
from configuration import HERE, read

QUESTIONS = ["What is your opinion on universal healthcare?", "How do you boil an egg?"]
TEXTS = ["Healthcare is a human right, and the government should guarantee it to everyone.", "The free market should decide on healthcare, without government in between.", "Put it in boiling water for eight minutes, then cool it under the tap."]


def main(trained: Path) -> None:
    configuration = read(HERE / "configs/embedded-answers.json")
    torch.set_num_threads(1)
    told = {"made_by": "training/reference_scores.py", "version": configuration["version"], "scores": []}
    for name in ("baseline", *configuration["sides"]):
        tokenizer, model = load(fetch(configuration["base"], HERE / "work"))
        if name != "baseline":
            model = PeftModel.from_pretrained(model, trained / name / "preference")
        model.eval()
        for question in QUESTIONS:
            prompt = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True, tokenize=True)
            for text in TEXTS:
                continuation = tokenizer.encode(text, add_special_tokens=False)
                with torch.no_grad():
                    logits = model(torch.tensor([prompt + continuation])).logits[0, len(prompt) - 1:-1].log_softmax(-1)
                each = logits[range(len(continuation)), continuation]
                told["scores"].append({"perspective": name, "question": question, "text": text, "tokens": len(continuation), "mean": round(each.mean().item(), 4)})
    json.dump(told, sys.stdout, indent=1)
    print()


main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "work/embedded-answers")
