"""A text classifier in memory: the scores of one text, and of many in batches on all cores.

People who ask at the same time share its forward passes (models/runtime/batching.py), the rows of a file
too: between two of its batches a single text takes its turn.
"""

import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from transformers import BertForSequenceClassification

from models.bert_program import BertProgram, pad_right
from models.contract import Request, Stop
from models.errors import InvalidInput, Stopped
from models.runtime.batching import Batcher
from models.sentiment.events import RowScores, Scores, TextPiece
from models.text.language import batches_by_length, cheapest_batches, split_pieces
from models.torch_tools import in_turn, on_cores, weights_bytes

WINDOW = 512  # texts that are sorted by length together; a stop loses at most these
BATCH_ROWS = 32
BATCH_TOKENS = {"cpu": 1024, "cuda": 32_768, "mps": 8192}  # with padding: bounds the memory
MAX_WORKERS = 8
CAPACITY = 16  # requests that may share passes
PASS_TOKENS = 40  # what a pass costs beside its tokens, in tokens: measured on both starters
PADDING_SHARE = 8  # one in so many parts of a token's cost is what padding costs the program
PROBE = 24  # tokens by which it is seen whether padding changes a score
SAME, SAME_IN_HALF = 1e-4, 2e-2  # that scores may differ alone and in a batch


def class_names(config: Any) -> list[str]:
    """The names of a configuration's classes, each once; a class without one is LABEL_ and its number."""
    table = {str(key): str(name) for key, name in config.id2label.items()}
    names: list[str] = []
    for number in range(config.num_labels):
        name = table.get(str(number), f"LABEL_{number}")
        names.append(f"{name} ({number})" if name in names else name)
    return names


def is_multi_label(config: Any) -> bool:
    """Whether each class has a probability of its own, as a transformers pipeline decides it."""
    says_so = config.problem_type == "multi_label_classification"
    return says_so or (not config.problem_type and _applies_sigmoid(config))


def _applies_sigmoid(config: Any) -> bool:
    return getattr(config, "function_to_apply", None) == "sigmoid"


def _agree_on_padding(model: Any, tokenizer: Any) -> bool:
    """Give the configuration the tokenizer's padding token; returns whether the model has such a token.

    A model that reads the last token of a text (GPT-2, Llama) finds it by the configuration's.
    """
    pad, table = tokenizer.pad_token_id, model.get_input_embeddings()
    if pad is None or pad >= table.num_embeddings:
        return False
    model.config.pad_token_id = pad
    return True


def _program(model: Any) -> BertProgram | None:
    """What computes several texts at once without their padding, where the model is a BERT it takes."""
    if type(model) is BertForSequenceClassification and BertProgram.fits(model.bert):
        return BertProgram(model.bert, model.classifier)
    return None


class TextClassifier:
    """A transformers model for sequence classification with its tokenizer.

    Args:
        model: on its device.
        tokenizer: the model's own.
        limit: the most tokens that the model takes at once, special ones included.

    Attributes:
        passes: shares forward passes; its items are lists of pieces, its results of shape (pieces, classes).
    """

    def __init__(self, model: Any, tokenizer: Any, limit: int) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self._ids_of_text = in_turn(tokenizer)
        # The tokenizer takes tens of microseconds to say either.
        self._special, self._unknown = tokenizer.num_special_tokens_to_add(), tokenizer.unk_token_id
        self.limit = limit
        self.multi_label = is_multi_label(model.config)
        self.labels = class_names(model.config)
        self._pads = _agree_on_padding(model, tokenizer)
        self._padding_side: str | None = None  # "" where padded rows score otherwise than alone
        self._program = _program(model)
        device = self.model.device.type
        self.workers = min(os.cpu_count() or 1, MAX_WORKERS) if device == "cpu" else 1
        self.passes: Batcher[list[list[int]], np.ndarray] = Batcher(
            self._score_together,
            most=BATCH_TOKENS.get(device, 1024),
            weigh=lambda pieces: len(pieces) * max(map(len, pieces)),
            lanes=self.workers,
            spread=self.workers,
            turns="sentiment" if device == "cpu" else "",
        )

    def split(self, text: str) -> list[tuple[int, str]]:
        """Cut a text into pieces that the model takes whole.

        Returns:
            Each piece with its place in the text, in characters.

        Raises:
            InvalidInput: the tokenizer finds no token (invalid_blank).
        """
        offsets = self._offsets(text)
        if not offsets:
            raise InvalidInput("invalid_blank", field="text")
        room = max(1, self.limit - self._special)
        pieces, begin = list[tuple[int, str]](), 0
        for piece in split_pieces(text, offsets, room):
            if piece.strip():
                pieces.append((begin, piece))
            begin += len(piece)
        return pieces

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        if not self.tokenizer.is_fast:  # has no offsets: no token is shorter than a character
            return [(i, i + 1) for i, character in enumerate(text) if not character.isspace()]
        return self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]

    def encode(self, piece: str) -> list[int]:
        """The token ids of a piece, special ones included."""
        return self.tokenizer(piece, truncation=True, max_length=self.limit)["input_ids"]

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities from logits, both of shape (texts, classes)."""
        return logits.float().sigmoid() if self.multi_label else logits.float().softmax(-1)

    @property
    def blank_token(self) -> int:
        """The id of the token that stands for no word: [MASK] where there is one."""
        own = self.tokenizer
        candidates = (own.mask_token_id, own.pad_token_id, own.unk_token_id, own.eos_token_id)
        return next((i for i in candidates if i is not None), 0)

    def nbytes(self) -> int:
        """Bytes of weights held."""
        return weights_bytes(self.model)

    def capacity(self, request: Request) -> int:
        """How many requests are at work at once and share passes."""
        return CAPACITY

    # ------------------------------------------------------------ one text

    def score_text(self, text: str, stop: Stop) -> Generator[Scores]:
        """Score a text; one over the limit is cut into pieces and their scores are averaged.

        A piece weighs as much as it has tokens. Scores are a softmax and sum to 1; for a
        multi-label model each is a sigmoid of its own and they need not.
        """
        pieces = self._encode_pieces(text)
        results = list[np.ndarray]()
        for *_, ids in pieces:
            if stop.is_set():
                return
            results.append(self.passes([ids], stop)[0])
        tokens = [token for *_, ids in pieces for token in ids]
        total = sum(
            (scores * len(ids) for scores, (*_, ids) in zip(results, pieces, strict=True)),
            np.zeros(len(self.labels), np.float32),
        )
        mean = total / len(tokens)
        order = np.argsort(-mean, kind="stable").tolist()

        def with_labels(scores: np.ndarray) -> tuple[tuple[str, float], ...]:
            values = scores.tolist()
            return tuple((self.labels[i], values[i]) for i in order)

        parts = tuple(
            TextPiece(begin, end, len(ids), with_labels(scores))
            for (begin, end, ids), scores in zip(pieces, results, strict=True)
        )
        unknown = tokens.count(self._unknown) / len(tokens)
        several = parts if len(parts) > 1 else ()
        yield Scores(with_labels(mean), len(parts), self.multi_label, several, unknown)

    def _encode_pieces(self, text: str) -> list[tuple[int, int, list[int]]]:
        """Begin and end of each piece in the text, in characters, and its token ids."""
        ids = self._ids_of_text(text)
        if self._special < len(ids) <= self.limit:
            return [(0, len(text), ids)]  # cut once: most texts are short
        pieces = self.split(text)
        return [(begin, begin + len(piece), self.encode(piece)) for begin, piece in pieces]

    # ------------------------------------------------------------ many texts

    def score_rows(self, texts: Sequence[str], stop: Stop) -> Generator[RowScores]:
        """Score texts in their order, each as `score_text` does.

        Args:
            texts: any number; the memory needed is that of one window.
            stop: ends it within a batch.
        """
        labels = tuple(self.labels)
        for first in range(0, len(texts), WINDOW):
            pieces, counts = self._encode_rows(texts[first : first + WINDOW])
            scores = np.zeros((len(pieces), len(labels)), np.float32)
            try:
                for indexes, batch in self.score_batches(pieces, stop):
                    scores[indexes] = batch
            except Stopped:
                return
            rows = np.full((len(counts), len(labels)), np.nan, np.float32)
            at = 0
            for row, count in enumerate(counts):
                if count:
                    weights = [len(ids) for ids in pieces[at : at + count]]
                    rows[row] = np.average(scores[at : at + count], axis=0, weights=weights)
                    at += count
            yield RowScores(first, labels, rows, tuple(counts), self.multi_label)

    def _encode_rows(self, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Token ids of all pieces, and how many pieces each text has; 0 for a text without a token."""
        pieces: list[list[int]] = []
        counts: list[int] = []
        all_ids = self.tokenizer([*texts], verbose=False)["input_ids"]
        for text, ids in zip(texts, all_ids, strict=True):
            if len(ids) <= self._special:
                own = []
            elif len(ids) <= self.limit:
                own = [ids]
            else:
                own = [self.encode(piece) for _, piece in self.split(text)]
            pieces += own
            counts.append(len(own))
        return pieces, counts

    def score_batches(
        self, pieces: Sequence[list[int]], stop: Stop
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """Score token ids of any lengths; on a CPU each core scores a batch of its own in a thread.

        That is faster than all of torch's threads on one batch: the products are small, and a product
        that is split waits for its slowest part.

        Yields:
            Indexes into `pieces` and their scores, of shape (indexes, classes).

        Raises:
            Stopped: stop was set.
        """

        def score(indexes: list[int]) -> tuple[list[int], np.ndarray]:
            if stop.is_set():
                raise Stopped
            return indexes, self.passes([pieces[i] for i in indexes], stop)

        device = self.model.device.type
        rows = BATCH_ROWS if self._program or self._find_padding_side(pieces) else 1
        lengths, tokens = [len(ids) for ids in pieces], BATCH_TOKENS.get(device, 1024)
        batches = [*batches_by_length(lengths, rows, tokens=tokens)]
        workers = min(self.workers, len(batches))
        if workers < 2:
            yield from map(score, batches)
            return
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(score, batches)

    def _find_padding_side(self, pieces: Sequence[list[int]]) -> str:
        """The side on which padding leaves the scores as they are; "" for none, or none is needed yet.

        Most models do not see their padding on the right. Some take the last place whatever is there
        (XLNet), and some configurations name another token than the tokenizer's.
        """
        if not self._pads:
            return ""
        if self._padding_side is not None or not pieces:
            return self._padding_side or ""
        pair = [min(pieces, key=len)[: PROBE // 3], max(pieces, key=len)[:PROBE]]
        if len(pair[0]) == len(pair[1]):
            return "right"  # no row is padded far enough to tell
        apart = np.concatenate([self._score_batch([piece]) for piece in pair])
        least = SAME if self.model.dtype == torch.float32 else SAME_IN_HALF
        works = (
            side
            for side in ("right", "left")
            if np.abs(self._score_batch(pair, side) - apart).max() <= least
        )
        self._padding_side = next(works, "")
        return self._padding_side

    def _score_together(self, items: list[list[list[int]]], cores: int) -> list[np.ndarray]:
        """The scores of several people's pieces, by as few tokens of padding as are worth a pass."""
        with on_cores(cores):
            if len(items) == 1:
                return [self._score_batch(items[0])]
            pieces = [piece for item in items for piece in item]
            lengths = [len(ids) for ids in pieces]
            alone = [[index] for index in range(len(pieces))]
            batches = cheapest_batches(
                lengths, PASS_TOKENS * (PADDING_SHARE if self._program else 1)
            )
            scores = np.zeros((len(pieces), len(self.labels)), np.float32)
            for indexes in batches if self._program or self._find_padding_side(pieces) else alone:
                scores[indexes] = self._score_batch([pieces[i] for i in indexes])
            return np.split(scores, np.cumsum([len(item) for item in items])[:-1])

    @torch.inference_mode()
    def _score_batch(self, pieces: list[list[int]], side: str = "") -> np.ndarray:
        if self._program and len(pieces) > 1 and not side:
            return self.probabilities(self._program(*pad_right(pieces))).numpy()
        inputs: Any = {"input_ids": torch.tensor(pieces[:1])}
        if len(pieces) > 1:
            side = side or self._padding_side or "right"
            rows = {"input_ids": pieces}
            inputs = self.tokenizer.pad(rows, return_tensors="pt", padding_side=side)
        inputs = {name: tensor.to(self.model.device) for name, tensor in inputs.items()}
        return self.probabilities(self.model(**inputs).logits).cpu().numpy()
