"""The engine: an encoder whose sentence vectors a head classifies; it trains and uses classifiers."""

import copy
import hashlib
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from torch import nn
from transformers import AutoModel, AutoTokenizer

from models.contract import ModelSpec, Placement, Stop
from models.errors import InvalidInput
from models.sentence_similarity.transformers_engine import mean_pooled
from models.settings import Settings
from models.teach.catalog import prompt_of
from models.teach.classifier_file import ClassifierFile, Head, LoraSettings, read_classifier
from models.teach.events import (
    Classification,
    FineTuningResult,
    HeadResult,
    TeachEvent,
    TrainingStep,
)
from models.teach.requests import (
    BATCH,
    HELD_OUT,
    MAX_TOKENS,
    STRENGTH,
    TARGETS,
    ClassifyRequest,
    FineTuneRequest,
    TeachRequest,
)
from models.text.language import batches_by_length
from models.torch_tools import loading, token_limit, torch_dtype, weights_bytes

MAX_FOLDS = 5

# ---------------------------------------------------------------- the head


def _regression() -> LogisticRegression:
    return LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced")


def fit_head(vectors: np.ndarray, labels: Sequence[str]) -> Head:
    """Logistic regression on vectors (count, dimensions) and a label each.

    Source: sklearn.linear_model.LogisticRegression. For two classes scikit-learn has one row, of the
    second class; the row of the first is zero.
    """
    model = _regression().fit(vectors, labels)
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        weight, bias = np.vstack([0 * weight, weight]), np.concatenate([0 * bias, bias])
    names = tuple(str(name) for name in model.classes_)
    return Head(names, weight.astype(np.float32), bias.astype(np.float32))


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Each sentence classified by a head that was trained without it.

    Attributes:
        folds: 0 where a class has one sentence only; then there are no predictions.
        predictions: a class for each sentence.
        accuracy: their share of right ones; None without predictions.
        confusion: confusion[label][prediction], in the order of the sorted labels.
    """

    folds: int = 0
    predictions: tuple[str, ...] = ()
    accuracy: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()


def cross_validate(vectors: np.ndarray, labels: Sequence[str], seed: int) -> CrossValidation:
    """Cross-validation of the head in stratified folds; seed decides the folds."""
    folds = min(MAX_FOLDS, *Counter(labels).values())
    if folds < 2:
        return CrossValidation()
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    predictions = cross_val_predict(_regression(), vectors, list(labels), cv=split)
    table = confusion_matrix(labels, predictions, labels=sorted(set(labels)))
    return CrossValidation(
        folds,
        tuple(str(label) for label in predictions),
        float(np.mean(predictions == np.asarray(labels))),
        tuple(tuple(int(cell) for cell in row) for row in table),
    )


# ---------------------------------------------------------------- LoRA on the encoder


def hold_out(labels: list[str], seed: int) -> tuple[list[int], list[int]]:
    """Indexes to train on and to test on; each class has its share in both.

    Raises:
        InvalidInput: a class has too few sentences (teach_too_few).
    """
    classes = len(set(labels))
    size = max(classes, round(len(labels) * HELD_OUT))
    if min(Counter(labels).values()) < 2 or len(labels) - size < classes:
        raise InvalidInput("teach_too_few")
    return train_test_split(  # type: ignore[return-value]
        list(range(len(labels))), test_size=size, stratify=labels, random_state=seed
    )


def add_lora(model: Any, settings: LoraSettings) -> Any:
    """Put new low-rank matrices (Hu et al. 2022, arXiv:2106.09685) into an encoder, which is changed."""
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        lora_dropout=0.05,
        target_modules=settings.targets,
    )
    return get_peft_model(model, config)


def lora_matrices(model: Any) -> dict[str, np.ndarray]:
    """The low-rank matrices of an encoder by peft's names, float32."""
    state = get_peft_model_state_dict(model)
    return {name: matrix.float().cpu().numpy() for name, matrix in state.items()}


def load_lora(model: Any, classifier: ClassifierFile) -> Any:
    """Put a classifier's low-rank matrices into an encoder, which is changed.

    Raises:
        InvalidInput: they do not fit (teach_file).
    """
    assert classifier.lora_settings is not None
    try:
        model = add_lora(model, classifier.lora_settings)
        state = {name: torch.tensor(matrix) for name, matrix in classifier.lora.items()}
        own = get_peft_model_state_dict(model)
        if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in state.items()}:
            raise ValueError("shapes")
        set_peft_model_state_dict(model, state)
    except (ValueError, RuntimeError, KeyError):
        raise InvalidInput("teach_file") from None
    return model.eval()


def linear_layer(head: Head) -> nn.Linear:
    """A layer with the weights of a head."""
    layer = nn.Linear(head.weight.shape[1], head.weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        layer.bias.copy_(torch.from_numpy(head.bias))
    return layer


def train_lora(
    model: Any,
    layer: nn.Linear,
    embed: Callable[[Sequence[str], Any], torch.Tensor],
    examples: Sequence[tuple[str, int]],
    request: FineTuneRequest,
    stop: Stop,
) -> Generator[TrainingStep]:
    """Train an encoder's low-rank matrices together with the head.

    Args:
        model: the encoder, with low-rank matrices.
        layer: the head, on the encoder's device.
        embed: (sentences, model) -> vectors (sentences, dimensions) that gradients go through.
        examples: (sentence, index of its class).
        request: epochs, learning rate and seed.
        stop: ends it within a step.
    """
    weights = [*(p for p in model.parameters() if p.requires_grad), *layer.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=request.learning_rate, weight_decay=0.01)
    total = request.epochs * -(-len(examples) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, request.learning_rate, total_steps=total + 1, pct_start=0.1
    )
    model.train()
    step, rng = 0, np.random.default_rng(request.seed)
    for _ in range(request.epochs):
        order = rng.permutation(len(examples))
        for start in range(0, len(examples), BATCH):
            if stop.is_set():
                return
            batch = [examples[index] for index in order[start : start + BATCH]]
            scores = layer(embed([text for text, _ in batch], model))
            classes = torch.tensor([index for _, index in batch], device=scores.device)
            loss = nn.functional.cross_entropy(scores, classes)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            yield TrainingStep(step, total, loss.item())


# ---------------------------------------------------------------- the engine

ENCODING_BATCH = 32  # sentences at once
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
        self.prompt = prompt_of(spec)
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
            model, info = AutoModel.from_pretrained(
                folder,
                dtype=torch_dtype(placement),
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        if any(name.startswith("pooler.") for name in info["missing_keys"]):
            model.pooler = None  # random at each load, and so would be the fingerprint
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
        validation = cross_validate(vectors, labels, request.seed)
        head = fit_head(vectors, labels)
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
        train, test = hold_out(labels, request.seed)
        vectors = self.vectors(texts, stop)
        if stop.is_set():
            return
        head = fit_head(vectors[train], [labels[i] for i in train])
        settings = LoraSettings(rank=request.rank, targets=list(TARGETS))
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
            torch.manual_seed(request.seed)
            model = add_lora(copy.deepcopy(self.model), settings)
            layer = linear_layer(head).to(self.model.device)
            examples = [(texts[i], head.labels.index(labels[i])) for i in train]
            yield from train_lora(model, layer, self.pool, examples, request, stop)
        if stop.is_set():
            return
        weight, bias = (part.detach().cpu().numpy() for part in (layer.weight, layer.bias))
        tuned_head = Head(head.labels, weight, bias)
        lora = lora_matrices(model)
        test_texts, truth = [texts[i] for i in test], [labels[i] for i in test]
        alone = head.predict(vectors[test])
        with_lora = tuned_head.predict(self.vectors(test_texts, stop, model.eval()))
        yield FineTuningResult(
            classifier=ClassifierFile(
                tuned_head, self.spec.id, self.fingerprint, settings, lora
            ).to_bytes(),
            held_out=tuple(zip(test_texts, truth, alone, with_lora, strict=True)),
            head_accuracy=float(np.mean(np.array(alone) == truth)),
            tuned_accuracy=float(np.mean(np.array(with_lora) == truth)),
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
            model = load_lora(copy.deepcopy(self.model), classifier)
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
        for batch in batches_by_length([-len(text) for text in texts], ENCODING_BATCH):
            if stop.is_set():
                break
            vectors = self.pool([texts[index] for index in batch], model or self.model)
            rows[batch] = vectors.float().cpu().numpy()
        return rows

    def pool(self, texts: Sequence[str], model: Any) -> torch.Tensor:
        """Mean-pooled states of length 1, (texts, dimensions), on the model's device."""
        inputs = self.tokenizer(
            [self.prompt + text for text in texts],
            padding=True,
            truncation=True,
            max_length=self.limit,
            return_tensors="pt",
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
