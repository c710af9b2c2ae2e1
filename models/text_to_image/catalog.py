"""Text-to-image models, what their dials start with and what their pipelines can do."""

from dataclasses import dataclass, fields
from functools import partial
from typing import Self

from models.contract import LICENCE_SOURCE, Dials, EngineOptions, ModelSpec
from models.text_to_image.schedulers import NAMES

_ENGINE = "models.text_to_image.diffusers_engine:DiffusersTextToImage"


@dataclass(frozen=True, slots=True)
class ImageDials(Dials):
    """What a model's dials start with, and what a request gets where it leaves a value out.

    None is the pipeline's own value. `width` and `height` are in pixels.
    """

    width: int | None = None
    height: int | None = None
    guidance_scale: float | None = None
    num_inference_steps: int | None = None

    def or_else(self, other: "ImageDials") -> Self:
        """These dials, with the other's values where they have none."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return type(self)(**{name: b if a is None else a for name, a, b in pairs})


@dataclass(frozen=True, slots=True)
class Work:
    """How much a picture of a model's own size is to compute, in 10^12 operations.

    Counted by torch.utils.flop_counter on the architecture.

    Attributes:
        step: one pass through the model, of one picture and without guidance.
        decoder: from latents to pixels, with the model's own decoder.
    """

    step: float
    decoder: float


@dataclass(frozen=True, slots=True)
class PipelineOptions(EngineOptions):
    """What a pipeline can draw with.

    Attributes:
        sizes: (width, height) in pixels of the pictures that the model draws well, its own first.
        guidance_range: the least and the most guidance_scale; equal if guidance was trained into the
            model. None: not known.
        steps_range: the same for num_inference_steps.
        schedulers: names that suit the model besides its own; empty for flow matching.
        work: of a picture, for a model that can be waited for without a GPU; None for others.
        guided_twice: guidance takes a second pass at each step; not where it was trained in as an input.
    """

    sizes: tuple[tuple[int, int], ...] = ()
    guidance_range: tuple[float, float] | None = None
    steps_range: tuple[int, int] | None = None
    schedulers: tuple[str, ...] = NAMES
    work: Work | None = None
    guided_twice: bool = True

    def limits(self, field: str) -> tuple[float, float] | None:
        """The least and the most of a request's guidance_scale or num_inference_steps."""
        return self.guidance_range if field == "guidance_scale" else self.steps_range


def dials_of(spec: ModelSpec) -> ImageDials:
    """The model's dials; of a hub id that was typed in, all None."""
    return spec.dials if isinstance(spec.dials, ImageDials) else ImageDials()


def options_of(spec: ModelSpec) -> PipelineOptions:
    """The model's options; of a hub id that was typed in, those of an unknown pipeline."""
    return spec.options if isinstance(spec.options, PipelineOptions) else PipelineOptions()


_CHECK = LICENCE_SOURCE.replace("2026-11-21", "2026-11-26")
_LARGE = ((1024, 1024), (832, 1216), (1216, 832), (768, 768))

_model = partial(ModelSpec, task="text-to-image", engine=_ENGINE)

# A safetensors file in the host's folder, as Civitai gives: models/select.py gives it its name.
SINGLE_FILE = _model(
    id="file:",
    note={
        "en": "A single file from the host's folder; its maker says what it was trained on. It brings no safety checker.",
        "ko": "페이지 운영자의 폴더에 있는 파일이에요. 무엇으로 배웠는지는 만든 사람의 설명을 보세요. 안전 검사기는 들어 있지 않아요.",
    },
    languages=("en",),
    licence="",
    wants_gpu=True,
    dials=ImageDials(guidance_scale=7.0, num_inference_steps=25),
)

MODELS: tuple[ModelSpec, ...] = (
    _model(
        id="genlab/scenes",
        source="starter:scenes",
        label="GenLab Scenes",
        note={
            "en": "A small Stable Diffusion, trained here on flat pictures that a program drew of 120 things (Fluent Emoji) in landscapes and on plain colours. It draws one thing or two, up to three of a kind, no scenes of action and no writing.",
            "ko": "작은 스테이블 디퓨전이에요. 프로그램이 그린 납작한 그림으로 사물 120가지(Fluent Emoji)와 풍경, 배경색을 배웠어요. 한두 가지 사물이나 같은 것 세 개까지 그려요. 움직임이 있는 장면이나 글자는 못 그려요.",
        },
        languages=("en", "ko"),
        licence="Apache-2.0 (this project)",
        size_gb=0.024,
        cuda_dtype="float32",
        cpu_threads=1,
        dials=ImageDials(width=256, height=256, guidance_scale=3.0, num_inference_steps=25),
        options=PipelineOptions(
            sizes=((256, 256),),
            guidance_range=(1, 15),
            steps_range=(1, 100),
            schedulers=(),  # flow matching
        ),
    ),
    _model(
        id="CompVis/stable-diffusion-v1-4",
        label="Stable Diffusion v1-4",
        note={
            "en": "The classic of 2022, 512x512, trained on web pictures with English captions (LAION). Weak at hands, writing and counting, and it repeats the web's stereotypes. Made for a GPU: without one a picture takes many minutes.",
            "ko": "2022년의 고전, 512x512. 영어 설명이 붙은 웹 그림(LAION)으로 배웠어요. 손, 글자, 개수에 약하고 웹의 고정관념도 그대로 나와요. GPU용 모델이라 GPU가 없으면 그림 한 장에 몇 분씩 걸려요.",
        },
        languages=("en",),
        licence=f"CreativeML OpenRAIL-M ({LICENCE_SOURCE})",
        size_gb=2.8,
        billions=1.37,
        wants_gpu=True,
        dials=ImageDials(width=512, height=512, guidance_scale=7.5, num_inference_steps=50),
        options=PipelineOptions(
            sizes=((512, 512), (512, 768), (768, 512), (384, 384)),
            guidance_range=(0.0, 30.0),
            steps_range=(1, 150),
            work=Work(step=0.80, decoder=2.51),
        ),
    ),
    _model(
        id="stabilityai/sd-turbo",
        label="SD-Turbo",
        note={
            "en": "Stable Diffusion 2.1 (trained on LAION) distilled to 1 to 4 steps, 512x512. Faces and writing come out wrong. Works without a GPU too, only slower.",
            "ko": "LAION으로 배운 Stable Diffusion 2.1을 1~4스텝으로 그리게 줄인 모델이에요. 512x512. 얼굴과 글자는 잘 못 그려요. GPU가 없어도 그릴 수 있고, 조금 느릴 뿐이에요.",
        },
        languages=("en",),
        licence=f"Stability AI Community ({LICENCE_SOURCE})",
        size_gb=2.6,
        billions=1.29,
        cuda_dtype="float16",
        wants_gpu=True,
        dials=ImageDials(width=512, height=512, guidance_scale=0.0, num_inference_steps=1),
        options=PipelineOptions(
            sizes=((512, 512),),
            guidance_range=(0.0, 0.0),
            steps_range=(1, 4),
            schedulers=(),
            work=Work(step=0.80, decoder=2.51),
        ),
    ),
    _model(
        id="IDKiro/sdxs-512-0.9",
        label="SDXS-512",
        note={
            "en": "A third of Stable Diffusion 2.1 (trained on LAION), distilled to a single step, with the tiny decoder built in; 512x512. The quickest here without a GPU, and the roughest.",
            "ko": "LAION으로 배운 Stable Diffusion 2.1을 3분의 1로 줄여서 한 스텝 만에 그리게 한 모델이에요. 작은 디코더가 들어 있어요. 512x512. GPU 없이 가장 빠르지만 그림이 가장 거칠어요.",
        },
        languages=("en",),
        licence=f"OpenRAIL++ ({_CHECK})",
        size_gb=2.7,
        billions=0.67,
        cuda_dtype="float16",
        wants_gpu=True,
        dials=ImageDials(width=512, height=512, guidance_scale=0.0, num_inference_steps=1),
        options=PipelineOptions(
            sizes=((512, 512),),
            guidance_range=(0.0, 0.0),
            steps_range=(1, 4),  # made for one; more are there to be compared
            schedulers=(),
            work=Work(step=0.30, decoder=0.14),  # by its share of SD-Turbo's weights: not counted
        ),
    ),
    _model(
        id="SimianLuo/LCM_Dreamshaper_v7",
        label="LCM Dreamshaper v7",
        note={
            "en": "A latent consistency model: Dreamshaper, a painterly Stable Diffusion 1.5 (trained on LAION and more), distilled to 4 to 8 steps, 512x512. It keeps its guidance dial. Works without a GPU too, only slower.",
            "ko": "잠재 일관성 모델(LCM)이에요. 회화풍 Stable Diffusion 1.5인 Dreamshaper(LAION 등으로 학습)를 4~8스텝으로 그리게 했어요. 512x512. 가이던스도 조절할 수 있어요. GPU가 없어도 그릴 수 있고, 조금 느릴 뿐이에요.",
        },
        languages=("en",),
        licence=f"MIT ({_CHECK})",
        size_gb=5.5,
        billions=1.37,
        cuda_dtype="float16",
        wants_gpu=True,
        dials=ImageDials(width=512, height=512, guidance_scale=8.5, num_inference_steps=4),
        options=PipelineOptions(
            sizes=((512, 512), (768, 768)),
            guidance_range=(1.0, 14.0),
            steps_range=(1, 8),
            schedulers=(),
            work=Work(step=0.80, decoder=2.51),
            guided_twice=False,
        ),
    ),
    _model(
        id="stabilityai/sdxl-turbo",
        label="SDXL-Turbo",
        note={
            "en": "Stable Diffusion XL distilled to 1 to 4 steps, at 512x512; its makers name no training data. Writing comes out wrong. Not for commercial use. Without a GPU it wants much memory and patience.",
            "ko": "Stable Diffusion XL을 1~4스텝으로 줄인 모델이에요. 512x512. 학습 데이터는 공개되지 않았고, 글자는 잘 못 그려요. 비상업용이에요. GPU가 없으면 메모리가 많이 들고 오래 걸려요.",
        },
        languages=("en",),
        licence=f"Stability AI Non-Commercial ({LICENCE_SOURCE})",
        size_gb=6.9,
        billions=3.47,
        cuda_dtype="float16",
        wants_gpu=True,
        dials=ImageDials(width=512, height=512, guidance_scale=0.0, num_inference_steps=1),
        options=PipelineOptions(
            sizes=((512, 512),),
            guidance_range=(0.0, 0.0),
            steps_range=(1, 4),
            schedulers=(),
            work=Work(step=1.59, decoder=2.51),
        ),
    ),
    _model(
        id="stabilityai/stable-diffusion-3.5-medium",
        label="Stable Diffusion 3.5 Medium",
        note={
            "en": "Reads long prompts and writes words into pictures; trained on filtered public and synthetic pictures, English only. Wants a GPU with about 20 GB.",
            "ko": "긴 프롬프트를 읽고 그림 속에 글자도 써 넣어요. 추려 낸 공개 그림과 합성 그림으로 배웠고, 영어만 읽어요. 메모리가 20GB쯤 되는 GPU가 필요해요.",
        },
        languages=("en",),
        licence=f"Stability AI Community ({LICENCE_SOURCE})",
        size_gb=16.0,
        cuda_dtype="bfloat16",
        wants_gpu=True,
        gated=True,
        dials=ImageDials(width=1024, height=1024, guidance_scale=4.5, num_inference_steps=40),
        options=PipelineOptions(
            sizes=_LARGE,
            guidance_range=(1.0, 10.0),
            steps_range=(10, 60),
            schedulers=(),
        ),
    ),
    _model(
        id="black-forest-labs/FLUX.1-schnell",
        label="FLUX.1 schnell",
        note={
            "en": "Twelve billion weights, pictures in 1 to 4 steps; its makers name no training data. It reads English. Wants a GPU with about 36 GB.",
            "ko": "가중치가 120억 개인 모델로, 1~4스텝 만에 그려요. 학습 데이터는 공개되지 않았고 영어를 읽어요. 메모리가 36GB쯤 되는 GPU가 필요해요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=34.0,
        cuda_dtype="bfloat16",
        wants_gpu=True,
        gated=True,
        dials=ImageDials(width=1024, height=1024, guidance_scale=0.0, num_inference_steps=4),
        options=PipelineOptions(
            sizes=_LARGE,
            guidance_range=(0.0, 0.0),
            steps_range=(1, 4),
            schedulers=(),
        ),
    ),
    _model(
        id="black-forest-labs/FLUX.2-klein-4B",
        label="FLUX.2 klein 4B",
        note={
            "en": "A small FLUX.2, pictures in 4 steps; its makers name no training data. Small writing comes out wrong. Wants a GPU with about 16 GB.",
            "ko": "작은 FLUX.2로, 4스텝 만에 그려요. 학습 데이터는 공개되지 않았고 작은 글자는 잘 못 그려요. 메모리가 16GB쯤 되는 GPU가 필요해요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=16.0,
        cuda_dtype="bfloat16",
        wants_gpu=True,
        dials=ImageDials(width=1024, height=1024, guidance_scale=1.0, num_inference_steps=4),
        options=PipelineOptions(
            sizes=_LARGE,
            guidance_range=(1.0, 1.0),
            steps_range=(1, 8),
            schedulers=(),
        ),
    ),
    _model(
        id="Tongyi-MAI/Z-Image-Turbo",
        label="Z-Image-Turbo",
        note={
            "en": "Six billion weights, reads English and Chinese but not Korean, pictures in 8 or 9 steps; its makers name no training data. Wants a GPU with about 24 GB.",
            "ko": "가중치 60억 개로 영어와 중국어를 읽고(한국어는 못 읽어요), 8~9스텝 만에 그려요. 학습 데이터는 공개되지 않았어요. 메모리가 24GB쯤 되는 GPU가 필요해요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({LICENCE_SOURCE})",
        size_gb=31.0,
        cuda_dtype="bfloat16",
        wants_gpu=True,
        dials=ImageDials(width=1024, height=1024, guidance_scale=0.0, num_inference_steps=9),
        options=PipelineOptions(
            sizes=_LARGE,
            guidance_range=(0.0, 0.0),
            steps_range=(4, 12),
            schedulers=(),
        ),
    ),
    _model(
        id="openai-images",
        engine="models.text_to_image.openai_engine:OpenAIImages",
        source="openai:",
        label="OpenAI Images",
        note={
            "en": "OpenAI's image model behind a key; its training data is not public. Guidance, steps and seed do not apply, so its work cannot be looked into.",
            "ko": "API 키로 쓰는 OpenAI의 그림 모델이에요. 학습 데이터는 공개되지 않았어요. 가이던스, 스텝, 시드를 쓰지 않아서 과정은 들여다볼 수 없어요.",
        },
        licence="terms of the provider",
        size_gb=0,
        concurrency=8,
        dials=ImageDials(width=1024, height=1024),
        options=PipelineOptions(
            sizes=((1024, 1024), (1536, 1024), (1024, 1536)),
            schedulers=(),
        ),
    ),
)
