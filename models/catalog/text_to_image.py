"""Text-to-image models."""

from models.base import SEEN, ModelSpec, Task
from models.text_to_image.schedulers import NAMES

MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        id="genlab/scenes",
        task=Task.TEXT_TO_IMAGE,
        engine="models.text_to_image:DiffusersTextToImage",
        source="starter:scenes",
        label="GenLab Scenes",
        note={
            "en": "A tiny Stable Diffusion that ships with GenLab: flat shapes and simple scenes.",
            "ko": "GenLab에 들어 있는 아주 작은 스테이블 디퓨전이에요. 단순한 도형과 풍경을 그려요.",
        },
        languages=("en", "ko"),
        licence="Apache-2.0 (this project)",
        size_gb=0.01,
        cuda_dtype="float32",
        cpu_threads=1,
        defaults={
            "width": 64,
            "height": 64,
            "sizes": ("64x64",),
            "guidance_scale": 3.0,
            "num_inference_steps": 25,
            "schedulers": tuple(name for name in NAMES if "Karras" not in name),
        },
    ),
    ModelSpec(
        id="CompVis/stable-diffusion-v1-4",
        task=Task.TEXT_TO_IMAGE,
        engine="models.text_to_image:DiffusersTextToImage",
        source="hub:CompVis/stable-diffusion-v1-4",
        label="Stable Diffusion v1-4",
        note={
            "en": "The classic of 2022, 512x512. Wants a GPU; on a CPU a picture takes many minutes.",
            "ko": "2022년의 고전, 512x512. GPU가 필요해요. CPU에서는 그림 한 장에 몇 분씩 걸려요.",
        },
        languages=("en",),
        licence=f"CreativeML OpenRAIL-M ({SEEN})",
        size_gb=2.8,
        wants_gpu=True,
        defaults={
            "width": 512,
            "height": 512,
            "sizes": ("512x512", "512x768", "768x512", "384x384"),
            "guidance_scale": 7.5,
            "num_inference_steps": 50,
        },
    ),
    ModelSpec(
        id="openai-images",
        task=Task.TEXT_TO_IMAGE,
        engine="models.text_to_image:OpenAIImages",
        source="openai:",
        label="OpenAI Images",
        note={
            "en": "OpenAI's image model behind a key. Guidance, steps and seed do not apply.",
            "ko": "API 키로 쓰는 OpenAI 이미지 모델이에요. 가이던스·스텝·시드는 쓰지 않아요.",
        },
        licence="terms of the provider",
        size_gb=0,
        concurrency=8,
        defaults={
            "width": 1024,
            "height": 1024,
            "sizes": ("1024x1024", "1536x1024", "1024x1536"),
        },
    ),
)
