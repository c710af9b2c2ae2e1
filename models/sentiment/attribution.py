"""Which words did it: layer integrated gradients, and each word left out in turn."""

import os
import re
from bisect import bisect_right
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.contract import Stop
from models.errors import InvalidInput, Refused, Stopped
from models.sentiment.batch import scored_batches
from models.sentiment.events import Attribution, Progress, Word
from models.sentiment.requests import GOOD_ERROR, STEPS, TOKENS_AT_ONCE, AttributionRequest

if TYPE_CHECKING:
    from models.sentiment.transformers_engine import TransformersSentiment


@dataclass(slots=True)
class _Piece:
    """A piece of the text: where it begins, its tokens, its score, and what each token added."""

    begin: int
    text: str
    ids: list[int]
    offsets: list[tuple[int, int]]
    special: list[int]
    score: float = 0.0
    baseline: float = 0.0
    values: list[float] = field(default_factory=list[float])
    steps: int = 0


def attribute(
    engine: "TransformersSentiment", request: AttributionRequest, stop: Stop
) -> Generator[Progress | Attribution]:
    """Say what each word added to a class's probability.

    Raises:
        InvalidInput: the class is not one of the model's (invalid_label); no token (invalid_blank).
        Refused: the tokenizer does not say where its tokens stand (refused_offsets).
    """
    if not engine.tokenizer.is_fast:
        raise Refused("refused_offsets")
    pieces = [_encoded(engine, begin, text) for begin, text in engine.placed_pieces(request.text)]
    try:
        target = _target(engine, pieces, request.label, stop)
        if request.method == "gradients":
            yield from _by_gradients(engine, request.text, pieces, target, stop)
        else:
            yield from _by_leaving_out(engine, request.text, pieces, target, stop)
    except Stopped:
        return


def _encoded(engine: "TransformersSentiment", begin: int, text: str) -> _Piece:
    made = engine.tokenizer(
        text,
        truncation=True,
        max_length=engine.limit,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    return _Piece(
        begin, text, made["input_ids"], made["offset_mapping"], made["special_tokens_mask"]
    )


def _target(engine: "TransformersSentiment", pieces: list[_Piece], label: str, stop: Stop) -> int:
    """The class to explain, by its place; the pieces learn their own scores of it."""
    if label and label not in engine.labels:
        raise InvalidInput("invalid_label", field="label", known=", ".join(engine.labels)[:200])
    scores: dict[int, np.ndarray] = {}
    for indexes, rows in scored_batches(engine, [piece.ids for piece in pieces], stop):
        scores |= dict(zip(indexes, rows, strict=True))
    weights = [len(piece.ids) for piece in pieces]
    mean = np.average([scores[i] for i in range(len(pieces))], axis=0, weights=weights)
    target = engine.labels.index(label) if label else int(mean.argmax())
    for i, piece in enumerate(pieces):
        piece.score = float(scores[i][target])
    return target


def _by_gradients(
    engine: "TransformersSentiment", text: str, pieces: list[_Piece], target: int, stop: Stop
) -> Generator[Progress | Attribution]:
    """Layer integrated gradients (Sundararajan et al. 2017) on the word embeddings, by captum.

    The path goes from the text with every token masked (special tokens stay) to the text itself; what
    is explained is the probability of the class. A long text is the average of its pieces, so the
    values of a piece weigh as much as it does.
    """
    for number, piece in enumerate(pieces):
        _integrate(engine, piece, target, stop)
        if len(pieces) > 1:
            yield Progress(number + 1, len(pieces))
    total = sum(len(piece.ids) for piece in pieces)
    words, rest = _by_word(engine, text, pieces, total)
    score, baseline = (
        sum(value * len(piece.ids) for value, piece in zip(values, pieces, strict=True)) / total
        for values in ([p.score for p in pieces], [p.baseline for p in pieces])
    )
    yield Attribution(
        method="gradients",
        label=engine.labels[target],
        score=score,
        baseline=baseline,
        words=words,
        rest=rest,
        error=sum(word.value for word in words) + rest - (score - baseline),
        steps=max(piece.steps for piece in pieces),
    )


def _integrate(engine: "TransformersSentiment", piece: _Piece, target: int, stop: Stop) -> None:
    """Fill in what each token of a piece added, and the score without any of them."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # captum imports matplotlib: never a window
    from captum.attr import LayerIntegratedGradients

    model, layer = engine.model, engine.model.get_input_embeddings()
    ids = torch.tensor([piece.ids], device=model.device)
    special = torch.tensor([piece.special], device=model.device).bool()
    masked = torch.where(special, ids, engine.nothing)

    def probability(ids: Any, mask: Any) -> Any:
        if stop.is_set():
            raise Stopped
        logits = model(input_ids=ids, attention_mask=mask).logits
        return engine.probabilities(logits)[:, target]

    # The text's own ids stay the input, so that positions (RoBERTa reads them off the ids) do too.
    mask = torch.ones_like(ids)
    with torch.no_grad():
        embedded = layer(masked)
        with layer.register_forward_hook(lambda *_: embedded):
            piece.baseline = probability(ids, mask).item()
    gradients = LayerIntegratedGradients(probability, layer)
    for steps in STEPS:
        with torch.enable_grad():
            found: Any = gradients.attribute(
                ids,
                baselines=masked,
                additional_forward_args=(mask,),
                n_steps=steps,
                internal_batch_size=max(1, TOKENS_AT_ONCE // ids.shape[1]),
            )
        piece.values, piece.steps = found[0].sum(-1).tolist(), steps
        if abs(sum(piece.values) - (piece.score - piece.baseline)) <= GOOD_ERROR:
            return


def _by_word(
    engine: "TransformersSentiment", text: str, pieces: list[_Piece], total: int
) -> tuple[tuple[Word, ...], float]:
    """The values of the tokens summed by word, and what the special tokens added."""
    spans = _spans(text)
    ends = [end for _, end in spans]
    values = [0.0] * len(spans)
    tokens: list[list[tuple[str, int]]] = [[] for _ in spans]
    rest = 0.0
    for piece in pieces:
        weight = len(piece.ids) / total
        names = engine.tokenizer.convert_ids_to_tokens(piece.ids)
        for i, (begin, end) in enumerate(piece.offsets):
            # A token may begin with the space before its word: its last character tells the word.
            word = bisect_right(ends, piece.begin + max(begin, end - 1))
            if piece.special[i] or word == len(spans):
                rest += piece.values[i] * weight
                continue
            values[word] += piece.values[i] * weight
            tokens[word].append((names[i], piece.ids[i]))
    made = zip(spans, values, tokens, strict=True)
    return tuple(Word(*span, value, tuple(cut)) for span, value, cut in made), rest


def _by_leaving_out(
    engine: "TransformersSentiment", text: str, pieces: list[_Piece], target: int, stop: Stop
) -> Generator[Progress | Attribution]:
    """The score minus the score of the text without the word; of a long text its piece is scored anew."""
    total = sum(len(piece.ids) for piece in pieces)
    summed = sum(piece.score * len(piece.ids) for piece in pieces)
    spans = _spans(text)
    begins = [piece.begin for piece in pieces]
    homes = [pieces[bisect_right(begins, begin) - 1] for begin, _ in spans]
    texts = [_without(home, *span) for home, span in zip(homes, spans, strict=True)]
    left: list[list[int]] = engine.tokenizer(texts, truncation=True, max_length=engine.limit)[
        "input_ids"
    ]
    words, done = [Word(*span, 0.0) for span in spans], 0
    for indexes, rows in scored_batches(engine, left, stop):
        for i, row in zip(indexes, rows, strict=True):
            home, count = homes[i], len(left[i])
            without = summed - home.score * len(home.ids) + float(row[target]) * count
            value = summed / total - without / (total - len(home.ids) + count)
            words[i] = Word(*spans[i], value)
        done += len(indexes)
        yield Progress(done, len(left))
    yield Attribution("leave_out", engine.labels[target], summed / total, tuple(words))


def _without(piece: _Piece, begin: int, end: int) -> str:
    """A piece's text without the characters from begin to end of the whole text."""
    head, tail = piece.text[: begin - piece.begin], piece.text[end - piece.begin :]
    return f"{head.rstrip()} {tail.lstrip()}".strip()


def _spans(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end: what stands between spaces."""
    return [m.span() for m in re.finditer(r"\S+", text)]
