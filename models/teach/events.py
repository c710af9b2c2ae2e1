"""What a teachable encoder answers."""

from dataclasses import dataclass

from models.contract import Event


@dataclass(frozen=True, slots=True)
class Taught(Event):
    """A classifier of the encoder's vectors as they are.

    Attributes:
        classifier: as a file (models/teach/file.py).
        labels: the classes in the order of everything below.
        counts: sentences of each class.
        accuracy: in cross-validation, None where a class has one sentence only.
        folds: of the cross-validation; 0 for none.
        chance: accuracy of always saying the commonest class.
        confusion: confusion[true][said], from the folds.
        wrong: (text, its label, what was said) of sentences that were wrong when left out.
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
class TrainStep(Event):
    """Step `step` of `total` of a training is done, at this loss."""

    step: int
    total: int
    loss: float


@dataclass(frozen=True, slots=True)
class FineTuned(Event):
    """A fine-tuned encoder beside a head alone, both taught on the same part of the sentences.

    Attributes:
        classifier: the fine-tuned one as a file.
        held_out: (text, label, what the head alone says, what the fine-tuned one says).
        head_accuracy, tuned_accuracy: on the held-out sentences.
        trained_on: how many sentences both learned from.
        parameters: how many numbers the fine-tuning moved.
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
class Classified(Event):
    """Probabilities of each class, one row a text; `labels` names the columns."""

    labels: tuple[str, ...]
    probabilities: tuple[tuple[float, ...], ...]
