"""The engine: a text and its classes."""

from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

import torch

from models.base import ModelSpec, Placement, Scores, Stop
from models.errors import InvalidInput
from models.pretrained import torch_dtype, weights_bytes
from models.requests import SentimentRequest
from models.segment import split_pieces
from models.sentiment.loading import load
from models.settings import Settings


class TransformersSentiment:
    """A classifier with a trained head; one that was never trained is refused.

    Args:
        model: a transformers model for sequence classification, on its device.
        tokenizer: its tokenizer.
        limit: tokens it takes at once, special ones included.
    """

    def __init__(self, model: Any, tokenizer: Any, limit: int) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.limit = limit
        self.multi_label = model.config.problem_type == "multi_label_classification"

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Bring a classifier into memory.

        Args:
            spec: the catalogue entry.
            folder: a transformers folder, or a peft adapter with the classifier's config.json.
            placement: device and dtype.
            settings: not used.

        Raises:
            UntrainedHead: weights that decide the answer are not in the files; names them.
            Refused: a regression head, which has no classes (refused_regression); an adapter of
                another encoder (refused_adapter); pickled weights; code of its own.
            Damaged: a file is missing or broken.
        """
        assert folder is not None, "a classifier has weights"
        dtype = torch_dtype(placement)
        model, tokenizer, limit = load(spec, folder, dtype)
        return cls(model.to(placement.device), tokenizer, limit)

    def stream(self, request: SentimentRequest, stop: Stop) -> Generator[Scores]:
        """Score the text; one over the limit is cut into pieces and their scores are averaged.

        A piece weighs as much as it has tokens. Scores are a softmax and sum to 1; for a
        multi-label model each is a sigmoid of its own and they need not.

        Raises:
            InvalidInput: the tokenizer finds nothing in the text (invalid_blank).
        """
        pieces = self.pieces(request.text)
        total, tokens = torch.zeros(self.model.config.num_labels), 0
        for piece in pieces:
            if stop.is_set():
                return
            scores, count = self._score(piece)
            total, tokens = total + scores * count, tokens + count
        labels = self.model.config.id2label
        mean = (total / tokens).tolist()
        ranked = sorted(((labels[i], p) for i, p in enumerate(mean)), key=lambda s: -s[1])
        yield Scores(tuple(ranked), parts=len(pieces), multi_label=self.multi_label)

    def pieces(self, text: str) -> list[str]:
        """Cut a text into pieces that the model can take whole.

        Raises:
            InvalidInput: there is no token in it.
        """
        offsets = self._offsets(text)
        if not offsets:
            raise InvalidInput("invalid_blank", field="text")
        room = max(1, self.limit - self.tokenizer.num_special_tokens_to_add())
        return [piece for piece in split_pieces(text, offsets, room) if piece.strip()]

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        if not self.tokenizer.is_fast:  # knows no offsets: no token is shorter than a character
            return [(i, i + 1) for i, character in enumerate(text) if not character.isspace()]
        return self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]

    @torch.inference_mode()
    def _score(self, piece: str) -> tuple[torch.Tensor, int]:
        """Scores of shape (labels,) on the CPU, and the number of tokens they rest on."""
        inputs = self.tokenizer(
            piece, truncation=True, max_length=self.limit, return_tensors="pt"
        ).to(self.model.device)
        logits = self.model(**inputs).logits[0].float().cpu()
        scores = logits.sigmoid() if self.multi_label else logits.softmax(-1)
        return scores, inputs["input_ids"].shape[1]

    def nbytes(self) -> int:
        """Bytes of weights held."""
        return weights_bytes(self.model)
