"""What is asked of a teachable encoder."""

from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from models.contract import Request
from models.fields import Seed, not_blank

MAX_EXAMPLES = 2000
MAX_CLASSES = 20

LONGEST = 256  # tokens read of a sentence
STRENGTH = (
    10.0  # of the head's fit (scikit-learn's C): vectors of length 1 need more than its default
)
HELD_OUT = 0.25  # part of the sentences that a fine-tuning is judged by
BATCH = 8  # sentences a step of it
TARGETS = ("query", "key", "value", "dense")  # where LoRA goes: the linear layers of BERT's family

Sentence = Annotated[
    str, StringConstraints(max_length=2000, strip_whitespace=True), AfterValidator(not_blank)
]
Label = Annotated[
    str, StringConstraints(max_length=60, strip_whitespace=True), AfterValidator(not_blank)
]


class Example(Request):
    """A sentence and the class a person gave it."""

    text: Sentence
    label: Label


def _teachable(examples: tuple[Example, ...]) -> tuple[Example, ...]:
    counts = Counter(example.label for example in examples)
    if not 2 <= len(counts) <= MAX_CLASSES:
        raise PydanticCustomError("teach_classes", "classes", {"limit": MAX_CLASSES})
    given: dict[str, str] = {}
    for example in examples:
        if given.setdefault(example.text, example.label) != example.label:
            raise PydanticCustomError("teach_twice", "twice", {"text": example.text[:60]})
    return examples


class TeachRequest(Request):
    """Labelled sentences to learn a linear head from, by the vectors of an encoder.

    Attributes:
        examples: 4 to 2,000, of 2 to 20 classes; a sentence has one class.
        seed: of the folds of the cross-validation.
    """

    examples: Annotated[
        tuple[Example, ...],
        Field(min_length=4, max_length=MAX_EXAMPLES),
        AfterValidator(_teachable),
    ]
    seed: Seed = 0

    def pairs(self) -> tuple[list[str], list[str]]:
        """The sentences and their labels, each sentence once."""
        once = {example.text: example.label for example in self.examples}
        return list(once), list(once.values())


class FineTuneRequest(TeachRequest):
    """The same sentences, a part of them held out, for a head alone and for LoRA on the encoder.

    Attributes:
        epochs: how often the sentences are gone through.
        rank: of the low-rank matrices.
        learning_rate: of AdamW.
    """

    epochs: Annotated[int, Field(ge=1, le=50)] = 10
    rank: Annotated[int, Field(ge=1, le=64)] = 8
    learning_rate: Annotated[float, Field(gt=0, le=0.01)] = 1e-3


class ClassifyRequest(Request):
    """Sentences for a taught classifier.

    Attributes:
        classifier: the bytes that `Taught` or `FineTuned` brought, or a saved file.
    """

    classifier: Annotated[bytes, Field(max_length=20_000_000)]
    texts: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=1000)]
