"""A random llama of two blocks over characters, and a tokenizer to match: the loop, the losses and the packing are real, only the model is small."""
from __future__ import annotations


class Characters:
    """As much of a tokenizer as the encoder uses."""
    special = ("<start>", "<end>")

    def __call__(self, text: str, add_special_tokens: bool = False) -> dict:
        ids = []
        while text:
            found = next((name for name in self.special if text.startswith(name)), text[0])
            ids.append(self.special.index(found) if found in self.special else 2 + ord(found) % 126)
            text = text[len(found):]
        return {"input_ids": ids}

    def convert_tokens_to_ids(self, token: str):
        return self.special.index(token) if token in self.special else None

    def convert_ids_to_tokens(self, number: int) -> str:
        return self.special[number]

    def apply_chat_template(self, turns: list[dict], tokenize: bool, add_generation_prompt: bool) -> str:
        return "<start>" + "".join(f"{turn['role']}: {turn['content']}\n" for turn in turns) + "assistant: "


def llama(seed: int = 7):
    """With an untrained LoRA on both blocks."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    base = LlamaForCausalLM(LlamaConfig(vocab_size=128, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.2))
    return get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]))


def trainable(model) -> dict:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
