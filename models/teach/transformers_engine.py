"""The engine: an encoder whose sentence vectors a head classifies; it trains and uses classifiers."""

import copy
import hashlib
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
from models.teach import training
from models.teach.classifier_file import ClassifierFile, Head, LoraSettings, read_classifier
from models.teach.events import Classification, FineTuningResult, HeadResult, TeachEvent
from models.teach.requests import (
    MAX_TOKENS,
    TARGETS,
    ClassifyRequest,
    FineTuneRequest,
    TeachRequest,
)
from models.torch_tools.batching import batches_by_length
from models.torch_tools.loading import loading, token_limit, torch_dtype, weights_bytes

BATCH = 32
FEW_EXAMPLES = 8  # of a class: with fewer an accuracy says little
FEW_HELD_OUT = 40  # with fewer a difference of a few sentences is luck


class TeachableEncoder:
    """A transformers encoder with mean pooling; it keeps nothing of a classifier.

    Args:
        spec: the catalogue entry.
        model: the encoder, on its device.
        tokenizer: the encoder's own.
    """

    def __init__(self, spec: ModelSpec, model: Any, tokenizer: Any) -> None:
        self.spec, self.model, self.tokenizer = spec, model.eval(), tokenizer
        self.limit = min(MAX_TOKENS, token_limit(model, tokenizer))
        self.fingerprint = fingerprint(model)

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Bring the encoder into memory.

        Args:
            spec: the catalogue entry.
            folder: a transformers folder; the head of a classifier in it is not loaded.
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

    def stream(self, request: TeachRequest | ClassifyRequest, stop: Stop) -> Generator[TeachEvent]:
        """Train a head, fine-tune the encoder, or use a classifier, by the kind of request.

        Raises:
            InvalidInput: a class has too few sentences to hold one out (teach_too_few); the
                classifier is of another encoder (teach_other_encoder) or does not fit (teach_file).
        """
        if isinstance(request, FineTuneRequest):
            yield from self._fine_tune(request, stop)
        elif isinstance(request, TeachRequest):
            yield from self._train_head(request, stop)
        else:
            yield from self._classify(request, stop)

    def _train_head(self, request: TeachRequest, stop: Stop) -> Generator[HeadResult]:
        texts, labels = request.pairs()
        vectors = self.vectors(texts, stop)
        if stop.is_set():
            return
        validation = training.cross_validate(vectors, labels, request.seed)
        head = training.fit_head(vectors, labels)
        counts = Counter(labels)
        predictions = validation.predictions or labels
        yield HeadResult(
            classifier=ClassifierFile(head, self.spec.id, self.fingerprint).to_bytes(),
            labels=head.labels,
            counts=tuple(counts[label] for label in head.labels),
            accuracy=validation.accuracy,
            folds=validation.folds,
            chance=max(counts.values()) / len(labels),
            confusion=validation.confusion,
            wrong=tuple(
                row for row in zip(texts, labels, predictions, strict=True) if row[1] != row[2]
            ),
            notes=("teach_few",) if min(counts.values()) < FEW_EXAMPLES else (),
        )

    def _fine_tune(self, request: FineTuneRequest, stop: Stop) -> Generator[TeachEvent]:
        """Train a head alone, then a head with LoRA; compare them on sentences that neither has seen."""
        texts, labels = request.pairs()
        train, test = training.hold_out(labels, request.seed)
        vectors = self.vectors(texts, stop)
        if stop.is_set():
            return
        head = training.fit_head(vectors[train], [labels[i] for i in train])
        settings = LoraSettings(rank=request.rank, targets=list(TARGETS))
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
            torch.manual_seed(request.seed)
            model = training.add_lora(copy.deepcopy(self.model), settings)
            layer = training.linear_layer(head).to(self.model.device)
            examples = [(texts[i], head.labels.index(labels[i])) for i in train]
            yield from training.train_lora(model, layer, self.pooled, examples, request, stop)
        if stop.is_set():
            return
        weight, bias = (part.detach().cpu().numpy() for part in (layer.weight, layer.bias))
        tuned_head = Head(head.labels, weight, bias)
        lora = training.lora_matrices(model)
        test_texts, truth = [texts[i] for i in test], [labels[i] for i in test]
        alone = head.predict(vectors[test])
        tuned = tuned_head.predict(self.vectors(test_texts, stop, model.eval()))
        yield FineTuningResult(
            classifier=ClassifierFile(
                tuned_head, self.spec.id, self.fingerprint, settings, lora
            ).to_bytes(),
            held_out=tuple(zip(test_texts, truth, alone, tuned, strict=True)),
            head_accuracy=float(np.mean(np.array(alone) == truth)),
            tuned_accuracy=float(np.mean(np.array(tuned) == truth)),
            trained_on=len(train),
            parameters=sum(
                p.numel() for p in [*model.parameters(), *layer.parameters()] if p.requires_grad
            ),
            notes=("teach_luck",) if len(test) < FEW_HELD_OUT else (),
        )

    def _classify(self, request: ClassifyRequest, stop: Stop) -> Generator[Classification]:
        classifier = read_classifier(request.classifier)
        if (classifier.encoder, classifier.fingerprint) != (self.spec.id, self.fingerprint):
            raise InvalidInput("teach_other_encoder", model=classifier.encoder)
        if classifier.head.weight.shape[1] != self.model.config.hidden_size:
            raise InvalidInput("teach_file")
        model = self.model
        if classifier.lora_settings:
            model = training.load_lora(copy.deepcopy(self.model), classifier)
        vectors = self.vectors(request.texts, stop, model)
        if not stop.is_set():
            rows = classifier.head.probabilities(vectors).tolist()
            yield Classification(classifier.head.labels, tuple(tuple(row) for row in rows))

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str], stop: Stop, model: Any = None) -> np.ndarray:
        """Vectors of length 1, (texts, dimensions) float32; zeros for those after a stop."""
        rows = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        # Negative lengths put the shortest first. Saved classifiers were trained on vectors of these
        # batches; other batches change their last digits.
        for batch in batches_by_length([-len(text) for text in texts], BATCH):
            if stop.is_set():
                break
            vectors = self.pooled([texts[index] for index in batch], model or self.model)
            rows[batch] = vectors.float().cpu().numpy()
        return rows

    def pooled(self, texts: Sequence[str], model: Any) -> torch.Tensor:
        """Mean-pooled states of length 1, (texts, dimensions), on the model's device."""
        inputs = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.limit, return_tensors="pt"
        ).to(self.model.device)
        states = model(**inputs).last_hidden_state
        vectors = mean_pooled(states, inputs["attention_mask"])
        return torch.nn.functional.normalize(vectors, dim=-1)

    def nbytes(self) -> int:
        """Bytes of weights held."""
        return weights_bytes(self.model)


def fingerprint(model: torch.nn.Module) -> str:
    """Sixteen hex digits that change with an encoder's weights."""
    digest = hashlib.sha256()
    for name, tensor in model.named_parameters():
        digest.update(name.encode())
        digest.update(tensor.detach().flatten()[:64].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
