"""Training a classifier: a linear head on sentence vectors, and LoRA on the encoder.

Nothing here knows the engine: what a step needs of it is passed as a function.
"""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from torch import nn

from models.contract import Stop
from models.errors import InvalidInput
from models.teach.classifier_file import ClassifierFile, Head, LoraSettings
from models.teach.events import TrainingStep
from models.teach.requests import BATCH, HELD_OUT, STRENGTH, FineTuneRequest

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
        expected = get_peft_model_state_dict(model)
        if {n: t.shape for n, t in expected.items()} != {n: t.shape for n, t in state.items()}:
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
