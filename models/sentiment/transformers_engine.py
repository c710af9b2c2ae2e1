"""The engine: the classes of a text or of many, and what each word did."""

from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

import torch

from models.contract import ModelSpec, Placement, Request, Stop
from models.errors import InvalidInput
from models.sentiment.attribution import attribute
from models.sentiment.batch import score_rows
from models.sentiment.events import Part, Scores, SentimentEvent
from models.sentiment.loading import load
from models.sentiment.requests import AttributionRequest, ManyTextsRequest
from models.settings import Settings
from models.text.segmentation import split_pieces
from models.torch_tools.linear import by_onednn
from models.torch_tools.loading import torch_dtype, weights_bytes


class TransformersSentiment:
    """A classifier with a trained head; one that was never trained is refused.

    Args:
        model: a transformers model for sequence classification, on its device.
        tokenizer: its tokenizer.
        limit: tokens it takes at once, special ones included.
    """

    def __init__(self, model: Any, tokenizer: Any, limit: int) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.limit = limit
        self.multi_label = model.config.problem_type == "multi_label_classification"
        self.labels = [model.config.id2label[i] for i in range(model.config.num_labels)]

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
        model, tokenizer, limit = load(spec, folder, torch_dtype(placement))
        by_onednn(model)
        return cls(model.to(placement.device), tokenizer, limit)

    def stream(self, request: Request, stop: Stop) -> Generator[SentimentEvent]:
        """Answer a SentimentRequest, an AttributionRequest or a ManyTextsRequest.

        Raises:
            InvalidInput: the tokenizer finds nothing in the text (invalid_blank); see `attribute`.
        """
        if isinstance(request, AttributionRequest):
            yield from attribute(self, request, stop)
        elif isinstance(request, ManyTextsRequest):
            yield from score_rows(self, request.texts, stop)
        else:
            yield from self._score_text(request.text, stop)  # type: ignore[attr-defined]

    def _score_text(self, text: str, stop: Stop) -> Generator[Scores]:
        """Score a text; one over the limit is cut into pieces and their scores are averaged.

        A piece weighs as much as it has tokens. Scores are a softmax and sum to 1; for a
        multi-label model each is a sigmoid of its own and they need not.
        """
        pieces = self.placed_pieces(text)
        scored: list[tuple[torch.Tensor, list[int]]] = []
        for _, piece in pieces:
            if stop.is_set():
                return
            scored.append(self._score(piece))
        ids = [i for _, piece in scored for i in piece]
        mean = sum((scores * len(piece) for scores, piece in scored), torch.zeros(())) / len(ids)
        order = mean.argsort(descending=True, stable=True).tolist()

        def named(scores: torch.Tensor) -> tuple[tuple[str, float], ...]:
            return tuple((self.labels[i], scores[i].item()) for i in order)

        parts = tuple(
            Part(begin, begin + len(piece), len(tokens), named(scores))
            for (begin, piece), (scores, tokens) in zip(pieces, scored, strict=True)
        )
        unknown = ids.count(self.tokenizer.unk_token_id) / len(ids)
        several = parts if len(parts) > 1 else ()
        yield Scores(named(mean), len(parts), self.multi_label, several, unknown)

    def pieces(self, text: str) -> list[str]:
        """Cut a text into pieces that the model can take whole.

        Raises:
            InvalidInput: there is no token in it.
        """
        return [piece for _, piece in self.placed_pieces(text)]

    def placed_pieces(self, text: str) -> list[tuple[int, str]]:
        """The same, each with the place where it begins, in characters."""
        offsets = self._offsets(text)
        if not offsets:
            raise InvalidInput("invalid_blank", field="text")
        room = max(1, self.limit - self.tokenizer.num_special_tokens_to_add())
        placed, begin = list[tuple[int, str]](), 0
        for piece in split_pieces(text, offsets, room):
            if piece.strip():
                placed.append((begin, piece))
            begin += len(piece)
        return placed

    def encoded_pieces(self, text: str) -> list[list[int]]:
        """The pieces as token ids, special ones included."""
        return [self._encode(piece) for piece in self.pieces(text)]

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, classes) as probabilities."""
        return logits.float().sigmoid() if self.multi_label else logits.float().softmax(-1)

    @property
    def nothing(self) -> int:
        """The token that stands for no word: [MASK] where there is one."""
        own = self.tokenizer
        known = (own.mask_token_id, own.pad_token_id, own.unk_token_id, own.eos_token_id)
        return next((i for i in known if i is not None), 0)

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        if not self.tokenizer.is_fast:  # knows no offsets: no token is shorter than a character
            return [(i, i + 1) for i, character in enumerate(text) if not character.isspace()]
        return self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]

    def _encode(self, piece: str) -> list[int]:
        return self.tokenizer(piece, truncation=True, max_length=self.limit)["input_ids"]

    @torch.inference_mode()
    def _score(self, piece: str) -> tuple[torch.Tensor, list[int]]:
        """Scores of shape (labels,) on the CPU, and the token ids they rest on."""
        ids = self._encode(piece)
        logits = self.model(input_ids=torch.tensor([ids], device=self.model.device)).logits
        return self.probabilities(logits)[0].cpu(), ids

    def nbytes(self) -> int:
        """Bytes of weights held."""
        return weights_bytes(self.model)
