"""Requests to a teachable encoder: train a head, fine-tune, classify; and what the training is fixed to."""

from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from models.contract import Request
from models.errors import InvalidInput
from models.fields import Seed, not_blank

MAX_EXAMPLES = 2000
MAX_CLASSES = 20

MAX_TOKENS = 256  # of a sentence; the rest is not read
# C of scikit-learn's LogisticRegression: vectors of length 1 need more than its default of 1.
STRENGTH = 10.0
HELD_OUT = 0.25  # share of the sentences that a fine-tuning is tested on
BATCH = 8  # sentences of a training step
TARGETS = ("query", "key", "value", "dense")  # layers with LoRA: the linear ones of BERT's family

_Sentence = Annotated[
    str, StringConstraints(max_length=2000, strip_whitespace=True), AfterValidator(not_blank)
]
_Label = Annotated[
    str, StringConstraints(max_length=60, strip_whitespace=True), AfterValidator(not_blank)
]


class Example(Request):
    """A sentence and its class."""

    text: _Sentence
    label: _Label


def _check_classes(examples: tuple[Example, ...]) -> tuple[Example, ...]:
    counts = Counter(example.label for example in examples)
    if not 2 <= len(counts) <= MAX_CLASSES:
        raise InvalidInput("teach_classes", limit=MAX_CLASSES)
    labels: dict[str, str] = {}
    for example in examples:
        if labels.setdefault(example.text, example.label) != example.label:
            raise InvalidInput("teach_twice", text=example.text[:60])
    return examples


class TeachRequest(Request):
    """Labelled sentences to train a linear head on, by the vectors of an encoder.

    Attributes:
        examples: 4 to 2,000, of 2 to 20 classes; a sentence has one class.
        seed: of the folds of the cross-validation.
    """

    examples: Annotated[
        tuple[Example, ...],
        Field(min_length=4, max_length=MAX_EXAMPLES),
        AfterValidator(_check_classes),
    ]
    seed: Seed = 0

    def pairs(self) -> tuple[list[str], list[str]]:
        """The sentences and their labels, each sentence once."""
        labels = {example.text: example.label for example in self.examples}
        return list(labels), list(labels.values())


class FineTuneRequest(TeachRequest):
    """The same sentences, some of them held out, for a head alone and for LoRA on the encoder.

    Attributes:
        epochs: passes through the sentences.
        rank: of the low-rank matrices.
        learning_rate: of AdamW.
    """

    epochs: Annotated[int, Field(ge=1, le=50)] = 10
    rank: Annotated[int, Field(ge=1, le=64)] = 8
    learning_rate: Annotated[float, Field(gt=0, le=0.01)] = 1e-3


class ClassifyRequest(Request):
    """Sentences for a trained classifier.

    Attributes:
        classifier: the content of its file, as HeadResult and FineTuningResult have it.
    """

    classifier: Annotated[bytes, Field(max_length=30_000_000)]
    texts: Annotated[tuple[_Sentence, ...], Field(min_length=1, max_length=1000)]
