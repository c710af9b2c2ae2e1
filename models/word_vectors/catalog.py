"""Models of word vectors. Sentence similarity lists them too: they compare sentences by their words."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from models.contract import EngineOptions, ModelSpec


@dataclass(frozen=True, slots=True)
class WordVectorOptions(EngineOptions):
    """What the starters' engine must know.

    Attributes:
        pooling: a sentence is the "sif" (weighted) mean of its words' vectors, or their plain "mean".
    """

    pooling: Literal["sif", "mean"] = "sif"


def plain_mean(spec: ModelSpec) -> bool:
    """Whether a sentence is the plain mean of its words' vectors."""
    return isinstance(spec.options, WordVectorOptions) and spec.options.pooling == "mean"


_model = partial(ModelSpec, task="word-vectors")

MODELS: tuple[ModelSpec, ...] = (
    _model(
        id="genlab/words-en",
        engine="models.word_vectors.engine:WordVectorSimilarity",
        source="starter:word_vectors_en",
        label="GenLab Words (English)",
        note={
            "en": "Word2Vec vectors of 11,200 words that ship with GenLab, trained on 50 old novels, chats and film "
            "reviews; a sentence is their weighted mean (SIF), so the order of its words is lost.",
            "ko": "GenLab에 들어 있는 영어 단어 1만 1천 개의 Word2Vec 벡터예요. 옛 소설 50권과 대화, 영화평으로 학습했어요. "
            "문장은 단어 벡터의 가중 평균(SIF)이라 어순은 사라져요.",
        },
        languages=("en",),
        licence="Apache-2.0 (this project)",
        size_gb=0.002,
        cuda_dtype="",
        last=True,
    ),
    _model(
        id="genlab/words-ko",
        engine="models.word_vectors.engine:WordVectorSimilarity",
        source="starter:word_vectors_ko",
        label="GenLab Words (한국어)",
        note={
            "en": "Word2Vec vectors of 11,000 Korean words and pieces of words that ship with GenLab, trained on film "
            "reviews and chats; a sentence is their weighted mean (SIF), so the order of its words is lost.",
            "ko": "GenLab에 들어 있는 한국어 단어와 조각 1만 1천 개의 Word2Vec 벡터예요. 영화평과 대화로 학습했어요. 문장은 단어 "
            "벡터의 가중 평균(SIF)이라 어순은 사라져요.",
        },
        languages=("ko",),
        licence="Apache-2.0 (this project)",
        size_gb=0.002,
        cuda_dtype="",
        last=True,
    ),
    _model(
        id="genlab/words-en:mean",
        engine="models.word_vectors.engine:WordVectorSimilarity",
        source="starter:word_vectors_en",
        label="GenLab Words (English), plain average",
        note={
            "en": "The same vectors, plainly averaged: frequent words drown the others, and all cosines rise.",
            "ko": "같은 벡터를 무게 없이 평균해요. 흔한 단어에 묻혀서 무엇이든 코사인이 높아져요.",
        },
        languages=("en",),
        licence="Apache-2.0 (this project)",
        size_gb=0.002,
        cuda_dtype="",
        last=True,
        options=WordVectorOptions(pooling="mean"),
    ),
    _model(
        id="genlab/words-ko:mean",
        engine="models.word_vectors.engine:WordVectorSimilarity",
        source="starter:word_vectors_ko",
        label="GenLab Words (한국어), plain average",
        note={
            "en": "The same for Korean, plainly averaged.",
            "ko": "한국어 벡터를 무게 없이 평균해요. 흔한 말에 묻혀서 무엇이든 코사인이 높아져요.",
        },
        languages=("ko",),
        licence="Apache-2.0 (this project)",
        size_gb=0.002,
        cuda_dtype="",
        last=True,
        options=WordVectorOptions(pooling="mean"),
    ),
    _model(
        id="word2vec",
        engine="models.word_vectors.engine:Word2VecSimilarity",
        source="none:",
        label="Word2Vec (your sentences)",
        note={
            "en": "Trained while you watch, on the sentences you give it.",
            "ko": "적어 준 문장으로 그 자리에서 학습해요.",
        },
        licence="LGPL-2.1 (gensim)",
        size_gb=0,
        concurrency=2,
    ),
)
