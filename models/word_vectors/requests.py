"""Questions to word vectors, and a training on a person's own text."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from models.contract import Request
from models.fields import Seed, Sentence, not_blank
from models.word_vectors.events import WordTable

MAX_CORPUS = 5_000_000  # characters to train on: a shelf of novels, minutes of training
Word = Annotated[str, StringConstraints(max_length=100), AfterValidator(not_blank)]


class WordsRequest(Request):
    """A question about words.

    Attributes:
        question: "nearest" words to one, an "analogy" (the sum of `words` less `minus`), the "odd"
            one out, or a "map".
        count: how many nearest words.
        table: a person's own vectors to answer from; None for the model's.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    question: Literal["nearest", "analogy", "odd", "map"]
    words: Annotated[tuple[Word, ...], Field(min_length=1, max_length=60)]
    minus: Annotated[tuple[Word, ...], Field(max_length=10)] = ()
    count: Annotated[int, Field(ge=1, le=50)] = 10
    table: WordTable | None = None


class Word2VecRequest(Request):
    """Sentences to train Word2Vec on, one a line, and words to look at afterwards.

    Attributes:
        corpus: training sentences, one a line, at most MAX_CORPUS characters in all.
        sentences: sentences compared by the mean of their words' vectors; may be empty.
        word_a, word_b: a pair of words to compare; blank for none.
        words: words of the map; none: the most frequent.
        vector_size, window, min_count, sg, negative, epochs, seed: as in gensim.models.Word2Vec;
            sg 0 is CBOW, 1 skip-gram.
    """

    corpus: Annotated[str, StringConstraints(max_length=MAX_CORPUS), AfterValidator(not_blank)]
    sentences: Annotated[tuple[Sentence, ...], Field(max_length=50)] = ()
    word_a: Annotated[str, StringConstraints(max_length=100)] = ""
    word_b: Annotated[str, StringConstraints(max_length=100)] = ""
    words: Annotated[tuple[Word, ...], Field(max_length=60)] = ()
    vector_size: Annotated[int, Field(ge=2, le=300)] = 5
    window: Annotated[int, Field(ge=1, le=20)] = 5
    min_count: Annotated[int, Field(ge=1, le=100)] = 1
    sg: Literal[0, 1] = 0
    negative: Annotated[int, Field(ge=1, le=20)] = 5
    epochs: Annotated[int, Field(ge=1, le=500)] = 5
    seed: Seed = 1
