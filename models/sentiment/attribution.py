"""What each word adds to a class's probability: by integrated gradients, or by leaving it out."""

import os
import re
from bisect import bisect_right
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from models.contract import Stop
from models.errors import InvalidInput, Refused, Stopped
from models.sentiment.classifier import TextClassifier
from models.sentiment.events import Attribution, AttributionProgress, WordAttribution
from models.sentiment.requests import (
    MAX_ERROR,
    STEPS,
    TOKENS_PER_PASS,
    AttributionRequest,
)
from models.torch_tools import twin


@dataclass(slots=True)
class _EncodedPiece:
    """A piece of the text with its tokens; what each token adds is filled in by _integrate.

    Attributes:
        begin: its place in the text, in characters.
        offsets: of each token, in characters of the piece.
        special: 1 for a special token, else 0.
        score: probability of the explained class; baseline: the same with every token masked.
        values: what each token adds.
        steps: points of the integral.
    """

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
    classifier: TextClassifier, request: AttributionRequest, stop: Stop
) -> Generator[AttributionProgress | Attribution]:
    """Compute what each word adds to a class's probability.

    Raises:
        InvalidInput: the class is not one of the model's (invalid_label); no token (invalid_blank).
        Refused: the tokenizer has no offsets of its tokens (refused_offsets).
    """
    if not classifier.tokenizer.is_fast:
        raise Refused("refused_offsets")
    pieces = [_encode(classifier, *piece) for piece in classifier.split(request.text)]
    try:
        target = _target(classifier, pieces, request.label, stop)
        if request.method == "gradients":
            yield from _by_gradients(classifier, request.text, pieces, target, stop)
        else:
            yield from _by_omission(classifier, request.text, pieces, target, stop)
    except Stopped:
        return


def _encode(classifier: TextClassifier, begin: int, text: str) -> _EncodedPiece:
    encoding = classifier.tokenizer(
        text,
        truncation=True,
        max_length=classifier.limit,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    return _EncodedPiece(
        begin,
        text,
        encoding["input_ids"],
        encoding["offset_mapping"],
        encoding["special_tokens_mask"],
    )


def _target(classifier: TextClassifier, pieces: list[_EncodedPiece], label: str, stop: Stop) -> int:
    """The index of the class to explain; fills in each piece's score of it."""
    if label and label not in classifier.labels:
        raise InvalidInput("invalid_label", field="label", known=", ".join(classifier.labels)[:200])
    scores: dict[int, np.ndarray] = {}
    for indexes, rows in classifier.score_batches([piece.ids for piece in pieces], stop):
        scores |= dict(zip(indexes, rows, strict=True))
    weights = [len(piece.ids) for piece in pieces]
    mean = np.average([scores[i] for i in range(len(pieces))], axis=0, weights=weights)
    target = classifier.labels.index(label) if label else int(mean.argmax())
    for i, piece in enumerate(pieces):
        piece.score = float(scores[i][target])
    return target


def _by_gradients(
    classifier: TextClassifier, text: str, pieces: list[_EncodedPiece], target: int, stop: Stop
) -> Generator[AttributionProgress | Attribution]:
    """Layer integrated gradients (Sundararajan et al. 2017) on the word embeddings, by captum.

    The path goes from the text with every token masked (special tokens stay) to the text itself. The
    explained value is the probability of the class. The score of a long text is the average of its
    pieces, so the values of a piece have the weight of the piece.
    """
    for number, piece in enumerate(pieces):
        with classifier.passes.lane(stop):
            _integrate(classifier, piece, target, stop)
        if len(pieces) > 1:
            yield AttributionProgress(number + 1, len(pieces))
    total = sum(len(piece.ids) for piece in pieces)
    words, rest = _by_word(classifier, text, pieces, total)
    score, baseline = (
        sum(value * len(piece.ids) for value, piece in zip(values, pieces, strict=True)) / total
        for values in ([p.score for p in pieces], [p.baseline for p in pieces])
    )
    yield Attribution(
        method="gradients",
        label=classifier.labels[target],
        score=score,
        baseline=baseline,
        words=words,
        rest=rest,
        error=sum(word.value for word in words) + rest - (score - baseline),
        steps=max(piece.steps for piece in pieces),
    )


def _integrate(classifier: TextClassifier, piece: _EncodedPiece, target: int, stop: Stop) -> None:
    """Fill in what each token of a piece adds, and the score of the piece with all of them masked."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # captum imports matplotlib: never a window
    from captum.attr import LayerIntegratedGradients

    model = twin(
        classifier.model
    )  # the layer gets hooks, which other people's passes must not meet
    layer = model.get_input_embeddings()
    ids = torch.tensor([piece.ids], device=model.device)
    special = torch.tensor([piece.special], device=model.device).bool()
    baseline_ids = torch.where(special, ids, classifier.blank_token)

    def probability(ids: Any, mask: Any) -> Any:
        if stop.is_set():
            raise Stopped
        logits = model(input_ids=ids, attention_mask=mask).logits
        return classifier.probabilities(logits)[:, target]

    # The text's own ids stay the input, so that positions (RoBERTa reads them off the ids) do too.
    mask = torch.ones_like(ids)
    with torch.no_grad():
        baseline_states = layer(baseline_ids)
        with layer.register_forward_hook(lambda *_: baseline_states):
            piece.baseline = probability(ids, mask).item()
    gradients = LayerIntegratedGradients(probability, layer)
    for steps in STEPS:
        with torch.enable_grad():
            attributions: Any = gradients.attribute(
                ids,
                baselines=baseline_ids,
                additional_forward_args=(mask,),
                n_steps=steps,
                internal_batch_size=max(1, TOKENS_PER_PASS // ids.shape[1]),
            )
        piece.values, piece.steps = attributions[0].sum(-1).tolist(), steps
        if abs(sum(piece.values) - (piece.score - piece.baseline)) <= MAX_ERROR:
            return


def _by_word(
    classifier: TextClassifier, text: str, pieces: list[_EncodedPiece], total: int
) -> tuple[tuple[WordAttribution, ...], float]:
    """The values of the tokens summed by word, and the sum of those outside of any word."""
    spans = _spans(text)
    ends = [end for _, end in spans]
    values = [0.0] * len(spans)
    tokens: list[list[tuple[str, int]]] = [[] for _ in spans]
    rest = 0.0
    for piece in pieces:
        weight = len(piece.ids) / total
        names = classifier.tokenizer.convert_ids_to_tokens(piece.ids)
        for i, (begin, end) in enumerate(piece.offsets):
            # A token may begin with the space before its word; its last character is in the word.
            word = bisect_right(ends, piece.begin + max(begin, end - 1))
            if piece.special[i] or word == len(spans):
                rest += piece.values[i] * weight
                continue
            values[word] += piece.values[i] * weight
            tokens[word].append((names[i], piece.ids[i]))
    words = zip(spans, values, tokens, strict=True)
    return tuple(WordAttribution(*span, value, tuple(own)) for span, value, own in words), rest


def _by_omission(
    classifier: TextClassifier, text: str, pieces: list[_EncodedPiece], target: int, stop: Stop
) -> Generator[AttributionProgress | Attribution]:
    """The score minus the score of the text without the word; only the word's piece is scored again."""
    total = sum(len(piece.ids) for piece in pieces)
    sum_of_scores = sum(piece.score * len(piece.ids) for piece in pieces)
    spans = _spans(text)
    begins = [piece.begin for piece in pieces]
    homes = [pieces[bisect_right(begins, begin) - 1] for begin, _ in spans]
    texts = [_without(home, *span) for home, span in zip(homes, spans, strict=True)]
    shorter: list[list[int]] = classifier.tokenizer(
        texts, truncation=True, max_length=classifier.limit
    )["input_ids"]
    words, progress = [WordAttribution(*span, 0.0) for span in spans], 0
    for indexes, rows in classifier.score_batches(shorter, stop):
        for i, row in zip(indexes, rows, strict=True):
            home, count = homes[i], len(shorter[i])
            without = sum_of_scores - home.score * len(home.ids) + float(row[target]) * count
            value = sum_of_scores / total - without / (total - len(home.ids) + count)
            words[i] = WordAttribution(*spans[i], value)
        progress += len(indexes)
        yield AttributionProgress(progress, len(shorter))
    yield Attribution("leave_out", classifier.labels[target], sum_of_scores / total, tuple(words))


def _without(piece: _EncodedPiece, begin: int, end: int) -> str:
    """A piece's text without the characters from begin to end of the whole text."""
    head, tail = piece.text[: begin - piece.begin], piece.text[end - piece.begin :]
    return f"{head.rstrip()} {tail.lstrip()}".strip()


def _spans(text: str) -> list[tuple[int, int]]:
    """Begin and end of each word of a text; words are separated by white space."""
    return [m.span() for m in re.finditer(r"\S+", text)]
