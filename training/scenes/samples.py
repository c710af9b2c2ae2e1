"""Pictures for prompts, many at a time, each reproducible by its own seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from training.scenes.export import load_pipeline
from training.scenes.progress import save_sheet

STEPS = 25
GUIDANCE = 3.0
AT_ONCE = 32
SHEET = (
    "a red circle on a blue background",
    "a large red circle on a blue background",
    "a small yellow star on a black background",
    "a green triangle on a white background",
    "a purple heart on a pink background",
    "an orange square on a gray background",
    "a red circle to the left of a blue square on a white background",
    "a yellow star above a green triangle on a black background",
    "파란 배경에 큰 빨간 원",
    "검은 배경에 작은 노란 별",
    "흰 배경에 초록 원 왼쪽에 있는 분홍색 하트",
    "a city skyline at night with the moon and stars",
    "a futuristic cityscape with flying cars at sunset",
    "mountains at dawn with the sun",
    "a sailboat on the sea by day with clouds",
    "a forest at night with stars",
    "a desert with a cactus at sunset with the sun",
    "a field with a house and trees during the day",
    "별이 빛나는 밤 바다 위의 돛단배",
    "해 질 녘 하늘을 나는 자동차가 있는 미래 도시",
)


def generate(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    steps: int = STEPS,
    guidance: float = GUIDANCE,
) -> np.ndarray:
    """Pictures, uint8 (count, side, side, 3), one for each prompt and seed."""
    made = []
    for begin in range(0, len(prompts), AT_ONCE):
        some = slice(begin, begin + AT_ONCE)
        result = pipeline(
            list(prompts[some]),
            generator=[torch.Generator().manual_seed(seed) for seed in seeds[some]],
            num_inference_steps=steps,
            guidance_scale=guidance,
            output_type="np",
        )
        made.append((result.images * 255).round().astype(np.uint8))
    return np.concatenate(made)


def save_samples(folder: Path, path: Path) -> None:
    """Writes the sheet of `SHEET`'s prompts from the weights in `folder`."""
    pictures = generate(load_pipeline(folder), SHEET, range(len(SHEET)))
    save_sheet(pictures, path, columns=10)
