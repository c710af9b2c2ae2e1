"""Chat models. ADD A MODEL: one more ModelSpec in MODELS."""

from dataclasses import dataclass
from functools import partial

from models.contract import LICENCE_SOURCE, Dials, ModelSpec


@dataclass(frozen=True, slots=True)
class ChatDials(Dials):
    """What the controls start with; their meaning and limits are those of ChatRequest."""

    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 256


def dials_of(spec: ModelSpec) -> ChatDials:
    """The dials that suit a model; the usual ones where it has none of its own."""
    return spec.dials if isinstance(spec.dials, ChatDials) else ChatDials()


_model = partial(ModelSpec, task="chat", engine="models.chat.transformers_engine:TransformersChat")

MODELS: tuple[ModelSpec, ...] = (
    _model(
        id="genlab/small-talk",
        source="starter:small_talk",
        label="GenLab Small Talk",
        note={
            "en": "A tiny model that ships with GenLab: greetings and everyday talk, five personas.",
            "ko": "GenLab에 들어 있는 아주 작은 모델이에요. 인사와 일상 대화를 다섯 가지 말투로 해요.",
        },
        languages=("en", "ko"),
        licence="Apache-2.0 (this project)",
        size_gb=0.01,
        cuda_dtype="float32",
        cpu_threads=1,
        dials=ChatDials(top_p=0.9, max_new_tokens=64),  # the values it was evaluated with
    ),
    _model(
        id="HuggingFaceTB/SmolLM2-135M-Instruct",
        label="SmolLM2 135M Instruct",
        note={
            "en": "A small instruction-following model that runs on a laptop. English.",
            "ko": "노트북에서도 도는 작은 지시 수행 모델이에요. 영어 전용이에요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=0.27,
        cuda_dtype="bfloat16",
    ),
    _model(
        id="Qwen/Qwen3-0.6B",
        label="Qwen3 0.6B",
        note={
            "en": "A small model of over 100 languages, Korean among them.",
            "ko": "한국어를 비롯해 100개가 넘는 언어를 다루는 작은 모델이에요.",
        },
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=1.5,
        cuda_dtype="bfloat16",
    ),
    _model(
        id="openai-community/gpt2",
        label="GPT-2",
        note={
            "en": "The 2019 classic. It does not chat: it continues your text, differently each time.",
            "ko": "2019년의 고전이에요. 대화가 아니라 글을 이어 쓰며, 할 때마다 다르게 써요.",
        },
        languages=("en",),
        licence=f"MIT ({LICENCE_SOURCE})",
        size_gb=0.55,
        cuda_dtype="float32",
        dials=ChatDials(temperature=1.0, max_new_tokens=60),
    ),
    _model(
        id="openai",
        engine="models.chat.openai_engine:OpenAIChat",
        source="openai:",
        label="OpenAI (GPT-4o class)",
        note={
            "en": "Large models behind a key, or any server that speaks the same API. Costs money.",
            "ko": "API 키로 쓰는 큰 모델이에요. 같은 API를 쓰는 다른 서버도 돼요. 요금이 들어요.",
        },
        licence="terms of the provider",
        size_gb=0,
        concurrency=64,
        dials=ChatDials(temperature=1.0, max_new_tokens=512),
    ),
)
