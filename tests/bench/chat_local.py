"""What our decoding costs beyond transformers' own, and what the KV cache saves."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from models.chat.decoding import KVCache, chat_prompt
from models.chat.events import TextDelta
from models.chat.requests import ChatRequest, generate_arguments
from models.chat.transformers_engine import TransformersChat
from models.contract import Placement, Stop
from models.select import find
from models.settings import Settings
from models.tasks import CHAT
from models.weights import sources
from tests import tiny

RUNS = 7
CPU = Placement("cpu", "float32", "no_gpu", 1)
STORY = "Tell me a long story about a cat, a ship and the sea. "


def conversation(*messages: str, **options: Any) -> ChatRequest:
    """A conversation; wild, so that hardly an answer ends by itself."""
    turns = [{"role": ("user", "assistant")[k % 2], "content": m} for k, m in enumerate(messages)]
    usual = {"temperature": 2.0, "top_p": 1.0, "seed": 1, "max_new_tokens": 150}
    return ChatRequest.of(messages=turns, **(usual | options))


def starter() -> TransformersChat:
    """The starter, on one thread as the page has it."""
    spec = find(CHAT, "genlab/small-talk")
    return TransformersChat.load(spec, sources.STARTERS / spec.name, CPU, Settings())


def wide() -> TransformersChat:
    """A Llama of SmolLM2-135M's width with 10 of its 30 layers and random weights, in bytes."""
    tokenizer = tiny.byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=10,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    return TransformersChat(LlamaForCausalLM(config), tokenizer)


def seconds(work: Callable[[], Any]) -> float:
    """Of the processor: others use this machine too."""
    began = time.process_time()
    work()
    return time.process_time() - began


def decoding(engine: TransformersChat) -> dict[str, float]:
    """Median speed against a bare `generate` of the same tokens, without and with token odds."""
    request = conversation(STORY)
    prompt = chat_prompt(engine._tokenizer, request, engine._window)

    def bare() -> None:
        torch.manual_seed(request.seed)
        with torch.inference_mode():
            inputs = prompt.inputs(engine._model.device)
            engine._model.generate(**inputs, **generate_arguments(request, prompt.room))

    def ours(alternatives: int) -> None:
        engine._kv_cache = KVCache()
        with_odds = request.model_copy(update={"alternatives": alternatives})
        for _ in engine.stream(with_odds, Stop()):
            pass

    ratios: dict[str, list[float]] = {"off": [], "on": []}
    bare()
    ours(8)
    for _ in range(RUNS):
        plain = seconds(bare)
        ratios["off"].append(plain / seconds(lambda: ours(0)))
        ratios["on"].append(plain / seconds(lambda: ours(8)))
    return {name: statistics.median(values) for name, values in ratios.items()}


def second_turn(engine: TransformersChat, message: str) -> tuple[float, float, int, bool]:
    """Median milliseconds to a second turn's first word, with and without; tokens; same text."""
    first = "".join(
        e.text
        for e in engine.stream(conversation(message, max_new_tokens=40), Stop())
        if isinstance(e, TextDelta)
    )
    again = conversation(message, first, "And then?", max_new_tokens=1)
    tokens = len(chat_prompt(engine._tokenizer, again, engine._window).ids)
    times: dict[bool, list[float]] = {True: [], False: []}
    texts: set[str] = set()
    for _ in range(RUNS):
        for keep in (True, False):
            engine._kv_cache = KVCache()
            if keep:
                list(engine.stream(conversation(message, max_new_tokens=40), Stop()))
            began = time.process_time()
            events = list(engine.stream(again, Stop()))
            times[keep].append(1000 * (time.process_time() - began))
            texts.add("".join(e.text for e in events if isinstance(e, TextDelta)))
    warm, cold = statistics.median(times[True]), statistics.median(times[False])
    return warm, cold, tokens, len(texts) == 1


def main() -> None:
    """Print every figure."""
    torch.set_num_threads(1)
    small = starter()
    for name, ratio in decoding(small).items():
        print(f"local decoding against a bare generate, token odds {name}: {ratio:.2f} (n={RUNS})")
    for name, engine, message in (
        ("starter", small, STORY * 6),
        ("10 layers of 576", wide(), STORY * 8),
    ):
        warm, cold, tokens, same = second_turn(engine, message)
        print(
            f"second turn, {name}, {tokens} tokens: first word {warm:.1f} ms of processor time with "
            f"the first turn in the KV cache, {cold:.1f} ms without (medians of {RUNS}); same text: {same}"
        )


if __name__ == "__main__":
    main()
