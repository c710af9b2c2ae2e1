"""Sentiment models."""

import json
from functools import cache, partial
from pathlib import Path

from models.contract import LICENCE_SOURCE, ModelSpec

UNSURE = Path(__file__).with_name("unsure.json")  # its source stands in it


@cache
def _unsure() -> dict[str, dict[str, float]]:
    return json.loads(UNSURE.read_text(encoding="utf-8"))["models"]


def doubt(model_id: str, probability: float) -> float | None:
    """How often a classifier was right when its likeliest class had so low a probability.

    Args:
        model_id: its id.
        probability: of its likeliest class.

    Returns:
        The share of right ones of dev texts, 0 to 1; None where the probability is high enough, and for
        a classifier that was not measured.
    """
    entry = _unsure().get(model_id)
    return entry["right"] if entry and probability < entry["below"] else None


_model = partial(
    ModelSpec, task="sentiment", engine="models.sentiment.transformers_engine:TransformersSentiment"
)

MODELS: tuple[ModelSpec, ...] = (
    _model(
        id="genlab/sentiment-en",
        source="starter:sentiment_en",
        label="GenLab Sentiment (English)",
        note={
            "en": "An adapter on MiniLM that ships with GenLab, trained on 8,000 sentences of English film "
            "reviews. It knows only positive and negative, is wrong about one time in eight, and misses "
            "most irony.",
            "ko": "영어 영화평 8천 문장으로 학습한 MiniLM 어댑터예요. 긍정과 부정만 알고, 여덟 번에 한 번쯤 틀리며, "
            "비꼬는 말은 거의 못 알아들어요.",
        },
        languages=("en",),
        licence="Apache-2.0 (this project)",
        size_gb=0.09,
        cuda_dtype="float32",
        cpu_threads=1,
    ),
    _model(
        id="genlab/sentiment-ko",
        source="starter:sentiment_ko",
        label="GenLab Sentiment (한국어)",
        note={
            "en": "A small Korean model that ships with GenLab, trained on 144,000 film reviews (NSMC). It knows "
            "only positive and negative, and is wrong about one time in eight.",
            "ko": "네이버 영화평(NSMC) 14만여 개로 학습한 작은 한국어 모델이에요. 긍정과 부정만 알고, 여덟 번에 한 번쯤 "
            "틀려요.",
        },
        languages=("ko",),
        licence="Apache-2.0 (this project)",
        size_gb=0.01,
        cuda_dtype="float32",
        cpu_threads=1,
    ),
    _model(
        id="distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        label="DistilBERT SST-2",
        note={
            "en": "The usual English sentiment model of the transformers pipeline, trained on sentences of film "
            "reviews (SST-2). It knows only positive and negative.",
            "ko": "transformers 파이프라인이 기본으로 쓰는 영어 감정 분석 모델이에요. 영화평 문장(SST-2)으로 학습했고 "
            "긍정과 부정만 알아요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=0.27,
    ),
    _model(
        id="FacebookAI/roberta-base",
        label="RoBERTa base (untrained head)",
        note={
            "en": "A lesson: its sentiment layer was never trained, so GenLab refuses and says why.",
            "ko": "배움을 위한 예예요. 분류층이 학습되지 않아서 GenLab이 거절하고 이유를 알려 줘요.",
        },
        languages=("en",),
        licence=f"MIT ({LICENCE_SOURCE})",
        size_gb=0.5,
    ),
)
