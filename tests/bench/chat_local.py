"""What our decoding costs beyond transformers' own, and what a kept conversation saves."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from models.chat.events import TextDelta
from models.chat.kv_cache import Kept
from models.chat.options import generation
from models.chat.prompt import prompt
from models.chat.requests import ChatRequest
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


def asked(*messages: str, **options: Any) -> ChatRequest:
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
    """Median speed against a bare `generate` of the same tokens, without and with the dice."""
    request = asked(STORY)
    ready = prompt(engine._tokenizer, request, engine._window)

    def bare() -> None:
        torch.manual_seed(request.seed)
        with torch.inference_mode():
            inputs = ready.inputs(engine._model.device)
            engine._model.generate(**inputs, **generation(request, ready.room))

    def ours(alternatives: int) -> None:
        engine._kept = Kept()
        told = request.model_copy(update={"alternatives": alternatives})
        for _ in engine.stream(told, Stop()):
            pass

    ratios: dict[str, list[float]] = {"off": [], "on": []}
    bare()
    ours(8)
    for _ in range(RUNS):
        plain = seconds(bare)
        ratios["off"].append(plain / seconds(lambda: ours(0)))
        ratios["on"].append(plain / seconds(lambda: ours(8)))
    return {name: statistics.median(found) for name, found in ratios.items()}


def second_turn(engine: TransformersChat, message: str) -> tuple[float, float, int, bool]:
    """Median milliseconds to a second turn's first word, with and without; tokens; same text."""
    first = "".join(
        e.text
        for e in engine.stream(asked(message, max_new_tokens=40), Stop())
        if isinstance(e, TextDelta)
    )
    again = asked(message, first, "And then?", max_new_tokens=1)
    tokens = len(prompt(engine._tokenizer, again, engine._window).ids)
    times: dict[bool, list[float]] = {True: [], False: []}
    texts: set[str] = set()
    for _ in range(RUNS):
        for keep in (True, False):
            engine._kept = Kept()
            if keep:
                list(engine.stream(asked(message, max_new_tokens=40), Stop()))
            began = time.process_time()
            events = list(engine.stream(again, Stop()))
            times[keep].append(1000 * (time.process_time() - began))
            texts.add("".join(e.text for e in events if isinstance(e, TextDelta)))
    kept, anew = statistics.median(times[True]), statistics.median(times[False])
    return kept, anew, tokens, len(texts) == 1


def main() -> None:
    """Print every figure."""
    torch.set_num_threads(1)
    small = starter()
    for name, ratio in decoding(small).items():
        print(f"local decoding against a bare generate, dice {name}: {ratio:.2f} (n={RUNS})")
    for name, engine, message in (
        ("starter", small, STORY * 6),
        ("10 layers of 576", wide(), STORY * 8),
    ):
        kept, anew, tokens, same = second_turn(engine, message)
        print(
            f"second turn, {name}, {tokens} tokens: first word {kept:.1f} ms of processor time with "
            f"the first turn kept, {anew:.1f} ms without (medians of {RUNS}); same text: {same}"
        )


if __name__ == "__main__":
    main()
