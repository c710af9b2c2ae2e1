"""The events of training a classifier and of using it."""

from dataclasses import dataclass

from models.contract import Event


@dataclass(frozen=True, slots=True)
class HeadResult(Event):
    """A trained head on the encoder's vectors, and how good it is.

    Attributes:
        classifier: the content of its file (models/teach/classifier_file.py).
        labels: the classes, in the order of everything below.
        counts: sentences of each class.
        accuracy: in cross-validation; None where a class has one sentence only.
        folds: of the cross-validation; 0 for none.
        chance: accuracy of always predicting the commonest class.
        confusion: confusion[label][prediction], from the cross-validation.
        wrong: (text, label, prediction) of the sentences with a wrong prediction there.
        notes: codes of [notes] in tabs/text.
    """

    classifier: bytes
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    accuracy: float | None
    folds: int
    chance: float
    confusion: tuple[tuple[int, ...], ...]
    wrong: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingStep(Event):
    """Step `step` of `total` of a fine-tuning, and its loss."""

    step: int
    total: int
    loss: float


@dataclass(frozen=True, slots=True)
class FineTuningResult(Event):
    """A fine-tuned encoder compared with a head alone, both trained on the same sentences.

    Attributes:
        classifier: the content of the fine-tuned one's file.
        held_out: (text, label, prediction of the head alone, prediction of the fine-tuned one).
        head_accuracy, tuned_accuracy: on the held-out sentences.
        trained_on: how many sentences both were trained on.
        parameters: how many numbers the fine-tuning changed.
        notes: codes of [notes] in tabs/text.
    """

    classifier: bytes
    held_out: tuple[tuple[str, str, str, str], ...]
    head_accuracy: float
    tuned_accuracy: float
    trained_on: int
    parameters: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Classification(Event):
    """Probabilities of each class, a row for each text; `labels` names the columns."""

    labels: tuple[str, ...]
    probabilities: tuple[tuple[float, ...], ...]


TeachEvent = HeadResult | TrainingStep | FineTuningResult | Classification
