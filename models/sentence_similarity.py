"""Sentence similarity by pretrained encoders; models/word2vec.py trains one on the spot."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

import torch
from torch.nn.functional import normalize

from models.base import ModelSpec, Placement, Similarities, Stop
from models.pretrained import loading, token_limit, torch_dtype, weights_bytes
from models.requests import SimilarityRequest
from models.settings import Settings

BATCH = 8  # sentences between two looks at the stop flag


class _Encoder(ABC):
    """Sentences to vectors to cosines; what is left to a subclass is its library."""

    model: Any
    tokenizer: Any
    limit: int  # tokens it takes of a sentence, special ones included

    @abstractmethod
    def vectors(self, sentences: list[str]) -> torch.Tensor:
        """One float32 vector of any length a sentence, shape (sentences, dimensions), on the CPU."""

    def stream(self, request: SimilarityRequest, stop: Stop) -> Generator[Similarities]:
        """Compare every sentence with every other by the cosine of their vectors."""
        sentences = list(request.sentences)
        parts: list[torch.Tensor] = []
        for start in range(0, len(sentences), BATCH):
            if stop.is_set():
                return
            with torch.inference_mode():
                parts.append(self.vectors(sentences[start : start + BATCH]))
        yield Similarities(cosine_matrix(torch.cat(parts)), self._cut(sentences))

    def _cut(self, sentences: list[str]) -> tuple[int, ...]:
        """Which sentences are longer than the encoder reads."""
        ids = self.tokenizer(sentences, truncation=False, verbose=False)["input_ids"]
        return tuple(i for i, tokens in enumerate(ids) if len(tokens) > self.limit)

    def nbytes(self) -> int:
        """Bytes of weights held."""
        return weights_bytes(self.model)


class SentenceTransformerSimilarity(_Encoder):
    """An encoder trained so that sentences of one meaning get vectors at a small angle.

    Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019.
    """

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self.tokenizer = model.tokenizer
        self.limit = model.max_seq_length or self.tokenizer.model_max_length

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Bring a sentence-transformers folder into memory; a plain model gets mean pooling.

        Raises:
            Refused: pickled weights, or code of its own.
            Damaged: a file is missing or broken.
        """
        assert folder is not None, "an encoder has weights"
        with loading(spec, folder):
            from sentence_transformers import SentenceTransformer

            model = SentenceTransformer(
                str(folder),
                device=placement.device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": torch_dtype(placement), "use_safetensors": True},
            )
            return cls(model)

    def vectors(self, sentences: list[str]) -> torch.Tensor:
        """The model's own embeddings, shape (sentences, dimensions)."""
        found = self.model.encode(sentences, convert_to_tensor=True, show_progress_bar=False)
        return found.float().cpu()


class BertSimilarity(_Encoder):
    """The mean of a BERT's last hidden states, under the attention mask.

    BERT never learned to compare sentences: its vectors point into a narrow cone, so that any two
    sentences have a high cosine (Ethayarajh, EMNLP 2019).
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.limit = token_limit(model, tokenizer)

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Bring a transformers encoder into memory; a missing pooler is not used and no fault.

        Raises:
            Refused: pickled weights, or code of its own.
            Damaged: a file is missing or broken.
        """
        assert folder is not None, "an encoder has weights"
        with loading(spec, folder):
            from transformers import AutoModel, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModel.from_pretrained(
                folder,
                dtype=torch_dtype(placement),
                use_safetensors=True,
                trust_remote_code=False,
            )
            return cls(model.to(placement.device), tokenizer)

    def vectors(self, sentences: list[str]) -> torch.Tensor:
        """Mean-pooled last hidden states, shape (sentences, hidden size)."""
        inputs = self.tokenizer(
            sentences, padding=True, truncation=True, max_length=self.limit, return_tensors="pt"
        ).to(self.model.device)
        states = self.model(**inputs).last_hidden_state
        return mean_pooled(states.float(), inputs["attention_mask"]).cpu()


def mean_pooled(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over the tokens that are there: without the mask, padding would count as words.

    Args:
        states: shape (sentences, tokens, hidden size).
        mask: 1 for a token and 0 for padding, shape (sentences, tokens).

    Returns:
        Shape (sentences, hidden size).
    """
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def cosine_matrix(vectors: torch.Tensor) -> tuple[tuple[float, ...], ...]:
    """Cosines of all pairs, -1 to 1, from vectors of shape (sentences, dimensions)."""
    unit = normalize(vectors.double(), dim=1)
    return tuple(tuple(row) for row in (unit @ unit.T).clamp(-1, 1).tolist())
