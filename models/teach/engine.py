"""The engine of the teachable classifier: an encoder whose vectors a head reads."""

import copy
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from models.contract import ModelSpec, Placement, Stop
from models.errors import InvalidInput
from models.sentence_similarity.transformers_engine import mean_pooled
from models.settings import Settings
from models.teach import fine_tuning
from models.teach.events import Classified, FineTuned, Taught, TrainStep
from models.teach.file import Classifier, classifier, fingerprint
from models.teach.head import FEW, fitted, tried
from models.teach.requests import LONGEST, ClassifyRequest, FineTuneRequest, TeachRequest
from models.torch_tools.batching import batches_by_length
from models.torch_tools.loading import loading, token_limit, torch_dtype, weights_bytes

BATCH = 32


class TeachableEncoder:
    """A transformers encoder with mean pooling; it keeps nothing of what it is taught.

    Args:
        spec: the catalogue entry.
        model: the encoder, on its device.
        tokenizer: its own.
    """

    def __init__(self, spec: ModelSpec, model: Any, tokenizer: Any) -> None:
        self.spec, self.model, self.tokenizer = spec, model.eval(), tokenizer
        self.limit = min(LONGEST, token_limit(model, tokenizer))
        self.fingerprint = fingerprint(model)

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Bring the encoder into memory.

        Args:
            spec: the catalogue entry.
            folder: a transformers folder; a classifier's head in it is left out.
            placement: device and dtype.
            settings: not used.

        Raises:
            Damaged, Refused, NotFound: as `loading`.
        """
        assert folder is not None, "an encoder has weights"
        with loading(spec, folder, "config.json", "model.safetensors"):
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModel.from_pretrained(
                folder, dtype=torch_dtype(placement), use_safetensors=True, trust_remote_code=False
            )
        return cls(spec, model.to(placement.device), tokenizer)

    def stream(
        self, request: TeachRequest | ClassifyRequest, stop: Stop
    ) -> Generator[Taught | TrainStep | FineTuned | Classified]:
        """Teach a head, fine-tune the encoder, or use what was taught, by the kind of request.

        Raises:
            InvalidInput: the classifier is of another encoder (teach_other_encoder), or its low-rank
                matrices do not fit (teach_file).
        """
        if isinstance(request, FineTuneRequest):
            yield from fine_tuning.stream(self, request, stop)
        elif isinstance(request, TeachRequest):
            yield from self._taught(request, stop)
        else:
            yield from self._classified(request, stop)

    def _taught(self, request: TeachRequest, stop: Stop) -> Generator[Taught]:
        texts, labels = request.pairs()
        vectors = self.vectors(texts, stop)
        if stop.is_set():
            return
        trial, head = tried(vectors, labels, request.seed), fitted(vectors, labels)
        counts = Counter(labels)
        wrong = [
            (text, label, said)
            for text, label, said in zip(texts, labels, trial.said or labels, strict=True)
            if said != label
        ]
        made = Classifier(head, self.spec.id, self.fingerprint)
        yield Taught(
            made.to_bytes(),
            head.labels,
            tuple(counts[label] for label in head.labels),
            trial.accuracy,
            trial.folds,
            max(counts.values()) / len(labels),
            trial.confusion,
            tuple(wrong),
            ("teach_few",) if min(counts.values()) < FEW else (),
        )

    def _classified(self, request: ClassifyRequest, stop: Stop) -> Generator[Classified]:
        made = classifier(request.classifier)
        if made.encoder != self.spec.id or made.fingerprint != self.fingerprint:
            raise InvalidInput("teach_other_encoder", model=made.encoder)
        if made.head.weight.shape[1] != self.model.config.hidden_size:
            raise InvalidInput("teach_file")
        model = self.model
        if made.adapter:
            model = fine_tuning.adapted(copy.deepcopy(self.model), made)
        vectors = self.vectors(list(request.texts), stop, model)
        if not stop.is_set():
            rows = made.head.probabilities(vectors).tolist()
            yield Classified(made.head.labels, tuple(tuple(row) for row in rows))

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str], stop: Stop, model: Any = None) -> np.ndarray:
        """Vectors of length 1, (texts, dimensions) float32; fewer rows once stop is set.

        Sorted by length, so that a batch holds little padding.
        """
        rows = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        for batch in batches_by_length([*map(len, texts)], BATCH):
            if stop.is_set():
                break
            states = self.pooled([texts[index] for index in batch], model or self.model)
            rows[batch] = states.float().cpu().numpy()
        return rows

    def pooled(self, texts: Sequence[str], model: Any) -> torch.Tensor:
        """Mean-pooled states of length 1, (texts, dimensions), on the model's device."""
        inputs = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.limit, return_tensors="pt"
        ).to(self.model.device)
        states = model(**inputs).last_hidden_state
        pooled = mean_pooled(states, inputs["attention_mask"])
        return torch.nn.functional.normalize(pooled, dim=-1)

    def nbytes(self) -> int:
        """Bytes of weights held."""
        return weights_bytes(self.model)
