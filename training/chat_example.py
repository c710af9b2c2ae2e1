"""Record the example that the chat tab opens with: `python -m training.chat_example`.

The small talk that ships answers one message in each language, and for every token the likeliest
alternatives are stored, and what all the others weigh at each temperature of the page's dial. So the page
moves the bars by itself, to the same numbers, and loads no model. To be run again after small talk was
trained anew; tests/training/test_chat_example.py compares.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.chat.events import ChatDone, NextToken, TextDelta, Token
from models.chat.requests import ChatRequest, NextTokenRequest
from models.chat.token_odds import probabilities
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import ROOT, Settings
from models.tasks import CHAT

MODEL = "genlab/small-talk"
MESSAGES = {"en": "Hi there! How are you today?", "ko": "안녕하세요! 오늘 기분이 어때요?"}
FOLDER = ROOT / "tabs" / "chat"
TEMPERATURES = tuple(n / 20 for n in range(1, 41))  # of the dial, without 0
_ALTERNATIVES = 8
_LEAST = 6  # tokens


def record(cache: ModelCache, language: str, seeds: Sequence[int] = range(1, 31)) -> dict[str, Any]:
    """The likeliest of some answers that are not too short, with all that the page shows of it.

    Args:
        cache: brings the model.
        language: of MESSAGES.
        seeds: of the answers.

    Returns:
        As it is stored: the request's "message", "temperature", "top_p", "seed" and "max_new_tokens",
        the "answer" and its "tokens".
    """
    answers = [_answer(cache, MESSAGES[language], seed) for seed in seeds]
    request, tokens = max(
        (one for one in answers if len(one[1]) >= _LEAST),
        key=lambda one: float(np.mean([np.log(max(token.raw, 1e-9)) for token in one[1]])),
    )
    ids = tuple(int(token.id or 0) for token in tokens)
    rows = [_row(cache, request, ids[:place], token) for place, token in enumerate(tokens)]
    fields = ("temperature", "top_p", "seed", "max_new_tokens")
    return {
        "model": MODEL,
        "message": MESSAGES[language],
        **{name: getattr(request, name) for name in fields},
        "tokens": rows,
    }


def _answer(cache: ModelCache, message: str, seed: int) -> tuple[ChatRequest, list[Token]]:
    request = ChatRequest.of(
        messages=[{"role": "user", "content": message}],
        temperature=1.0,
        top_p=1.0,
        max_new_tokens=24,
        seed=seed,
        alternatives=_ALTERNATIVES,
    )
    tokens: list[Token] = []
    end = ""
    for event in run(cache, find(CHAT, MODEL), request):
        if isinstance(event, TextDelta):
            tokens += event.tokens
        elif isinstance(event, ChatDone):
            end = event.finish_reason
    return request, tokens if end == "stop" else []


def _row(
    cache: ModelCache, request: ChatRequest, before: tuple[int, ...], token: Token
) -> dict[str, Any]:
    """A token: its alternatives, and for each of TEMPERATURES the others' sum of p ** (1 / T), as ln."""
    question = NextTokenRequest.of(
        text=request.messages[0].content, as_message=True, ids=before, likeliest=1
    )
    events = run(cache, find(CHAT, MODEL), question)
    logits = next(event.logits for event in events if isinstance(event, NextToken))
    rows = {one.id for one in (*token.alternatives, token)}
    rest = np.delete(np.log(np.maximum(probabilities(logits), 1e-300)), sorted(rows))  # pyright: ignore
    return {
        "text": token.text,
        "id": token.id,
        "raw": _short(token.raw),
        "entropy": round(float(token.entropy or 0), 4),
        "alternatives": [[one.text, one.id, _short(one.raw)] for one in token.alternatives],
        "others": [round(float(np.logaddexp.reduce(rest / t)), 4) for t in TEMPERATURES],
    }


def _short(probability: float) -> float:
    return float(f"{probability:.5g}")


def path_of(language: str) -> Path:
    """Where a language's example is."""
    return FOLDER / f"example_{language}.json"


def main() -> None:
    """Record the examples of both languages."""
    cache = ModelCache(Settings.read())
    for language in MESSAGES:
        example = record(cache, language)
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in example.pop("tokens"))
        head = json.dumps(example, ensure_ascii=False)[1:-1]
        text = f'{{{head}, "tokens": [\n{rows}\n]}}\n'
        path_of(language).write_text(text, encoding="utf-8")
        print(language, "".join(row["text"] for row in json.loads(text)["tokens"]))
    cache.close()


if __name__ == "__main__":
    main()
