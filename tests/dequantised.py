"""A GGUF file of a Llama as transformers' model with the same weights in float32.

Transformers' own reader needs one more package and 20 seconds; this one knows what SmolLM2's file has.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from models.weights import gguf

_NAMES = {  # of a layer's tensors in the file -> in transformers
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL = 3  # token type


def load(file: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The model and its tokenizer."""
    header = gguf.read(file, file.name)
    heads, width = header.number("attention.head_count"), header.number("embedding_length")
    config = LlamaConfig(
        vocab_size=len(header.tokens),
        hidden_size=width,
        intermediate_size=header.number("feed_forward_length"),
        num_hidden_layers=header.number("block_count"),
        num_attention_heads=heads,
        num_key_value_heads=header.number("attention.head_count_kv"),
        max_position_embeddings=header.context_length,
        rms_norm_eps=header.values["llama.attention.layer_norm_rms_epsilon"],
        rope_theta=header.values["llama.rope.freq_base"],
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    data = np.memmap(file, np.uint8, "r")
    weights: dict[str, torch.Tensor] = {}
    for name, place in header.tensors.items():
        weights[_name(name)] = torch.from_numpy(_tensor(data, place, name, heads, width))
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model.load_state_dict(weights, assign=True)
    model.model.rotary_emb = type(model.model.rotary_emb)(config)  # its buffers were on meta too
    return model.eval(), _tokenizer(header)


def _name(name: str) -> str:
    top = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
    stem = name.removesuffix(".weight")
    if stem in top:
        return f"{top[stem]}.weight"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{_NAMES[part]}.weight"


def _tensor(data: np.ndarray, place: gguf.TensorPlace, name: str, heads: int, width: int) -> Any:
    count = int(np.prod(place.shape))
    if place.kind == 0:
        values = data[place.offset : place.offset + 4 * count].view("<f4")
    elif place.kind == 3:  # Q4_1: 32 weights a block: scale, minimum, 16 bytes of two weights each
        block = np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)])
        rows = data[place.offset : place.offset + count // 32 * block.itemsize].view(block)
        codes = np.concatenate([rows["q"] & 15, rows["q"] >> 4], axis=1).astype(np.float32)
        values = codes * rows["d"].astype(np.float32)[:, None]
        values += rows["m"].astype(np.float32)[:, None]
    elif place.kind == 8:  # Q8_0: scale and 32 bytes
        block = np.dtype([("d", "<f2"), ("q", "i1", 32)])
        rows = data[place.offset : place.offset + count // 32 * block.itemsize].view(block)
        values = rows["q"].astype(np.float32) * rows["d"].astype(np.float32)[:, None]
    else:
        raise ValueError(f"{name}: type {place.kind}")
    values = np.array(values, np.float32).reshape(place.shape[::-1])
    kind = name.split(".")[-2]
    if kind in {"attn_q", "attn_k"}:  # llama.cpp rotates neighbours, transformers the two halves
        size = width // heads
        values = values.reshape(-1, size // 2, 2, width).swapaxes(1, 2).reshape(-1, width)
    return np.ascontiguousarray(values)


def _tokenizer(header: gguf.Header) -> PreTrainedTokenizerFast:
    words = [token.decode() for token in header.tokens]
    merges = [tuple(m.decode().split(" ")) for m in header.values["tokenizer.ggml.merges"]]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [word for word, kind in zip(words, header.types, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=header.chat_template,
    )
