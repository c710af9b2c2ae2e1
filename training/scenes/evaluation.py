"""Judges the pipeline: shares of right attributes on held-out prompts, sheets to look at, seconds."""

import json
import random
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw

from training.scenes.captions import LANGUAGES, Lexicon, describe
from training.scenes.drawing import Painter, as_bytes
from training.scenes.probe import Probe, in_order
from training.scenes.sampling import sample_held_out, usual_backgrounds
from training.scenes.world import Background, Scene

KINDS = ("one", "two", "count", "shape")
SHEET_PROMPTS = (
    "a cat", "a panda in the snow at night", "a large red circle on a blue background",
    "a fox in the forest", "three yellow balloons", "a crab and a palm tree on the beach",
    "a small car in the city in the rain", "a rainbow", "a blue bird on a yellow background",
    "an elephant at sunset", "a pizza", "a robot next to a dog", "고양이", "눈밭의 펭귄",
    "바닷가의 야자수와 게", "노란 배경의 기타", "도시의 빨간 버스", "보라색 우산", "밤하늘의 달", "풍선 두 개",
)  # fmt: skip


def draw(
    pipeline: StableDiffusionPipeline,
    prompts: list[str],
    steps: int = 25,
    guidance: float = 3.0,
    seed: int = 0,
    at_once: int = 8,
) -> np.ndarray:
    """Pictures of the prompts, floats from 0 to 1, (count, 256, 256, 3); seeds seed, seed + 1 ..."""
    parts = []
    for begin in range(0, len(prompts), at_once):
        few = prompts[begin : begin + at_once]
        generators = [torch.Generator().manual_seed(seed + begin + i) for i in range(len(few))]
        parts.append(
            pipeline(
                few,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=generators,
                output_type="np",
            ).images
        )
    return np.concatenate(parts)


def is_true_background(read: Background, scene: Scene, mention: Background) -> bool:
    """Whether a background is what a caption says of it; what is left open may be as one of the things has it."""
    if read == scene.background:
        return True
    usual = {back for item in scene.items for back in usual_backgrounds(item.key)}
    if mention == Background():
        return read in usual
    is_open = not mention.colour and not mention.ground
    return is_open and read.sky == mention.sky and read.ground in {back.ground for back in usual}


def judge(
    probe: Probe, scene: Scene, picture: np.ndarray, mention: Background | None = None
) -> dict[str, bool]:
    """Which attributes of the wanted scene the probe reads in a picture, floats (256, 256, 3).

    `mention` is what the caption says of the background, which may be less than the scene's; all of it
    where None.
    """
    scene = in_order(probe.without_own_colours(scene))
    read = in_order(probe.read(picture).scene)
    marks = {"count": len(scene.items) == len(read.items)}
    marks["background"] = is_true_background(read.background, scene, mention or scene.background)
    pairs = list(zip(scene.items, read.items, strict=False))
    full = marks["count"]
    marks["object"] = full and all(a.key == b.key for a, b in pairs)
    marks["colour"] = full and all(a.colour == b.colour for a, b in pairs)
    marks["size"] = full and all(a.size == b.size for a, b in pairs)
    marks["place"] = full and all(a.place == b.place for a, b in pairs)
    marks["all"] = all(marks.values())
    return marks


def probe_accuracy(painter: Painter, keys: tuple[str, ...], count: int = 100) -> dict[str, float]:
    """How often the probe reads rendered held-out scenes right."""
    probe, rng = Probe(painter, keys), random.Random("probe")
    totals: dict[str, list[bool]] = defaultdict(list)
    for index in range(count):
        scene = sample_held_out(rng, keys, KINDS[index % len(KINDS)])
        for name, right in judge(probe, scene, painter.draw(scene)).items():
            totals[name].append(right)
    return {name: float(np.mean(values)) for name, values in totals.items()}


def attribute_shares(
    pipeline: StableDiffusionPipeline,
    painter: Painter,
    keys: tuple[str, ...],
    lexicon: Lexicon,
    count: int,
    steps: int = 25,
    guidance: float = 3.0,
) -> dict[str, dict[str, float]]:
    """The shares of right attributes by language and kind, on `count` held-out prompts of each."""
    probe, shares = Probe(painter, keys), {}
    for language in LANGUAGES:
        for kind in KINDS:
            rng = random.Random(f"judge/{language}/{kind}")
            scenes = [sample_held_out(rng, keys, kind) for _ in range(count)]
            texts, mention = zip(
                *(describe(s, rng, language, lexicon) for s in scenes), strict=True
            )
            pictures = draw(pipeline, list(texts), steps, guidance)
            marks = [judge(probe, *rest) for rest in zip(scenes, pictures, mention, strict=True)]
            shares[f"{language} {kind}"] = {
                name: float(np.mean([mark[name] for mark in marks])) for name in marks[0]
            }
            print(f"{language} {kind}: {shares[f'{language} {kind}']}", flush=True)
    return shares


def curves(
    pipeline: StableDiffusionPipeline,
    painter: Painter,
    keys: tuple[str, ...],
    lexicon: Lexicon,
    count: int,
) -> dict[str, dict[str, float]]:
    """The share of pictures of one thing with all attributes right, by guidance and by steps."""
    shares: dict[str, dict[str, float]] = {"guidance": {}, "steps": {}}
    tries = [("guidance", value, 25, float(value)) for value in (1, 2, 3, 4, 6, 8)]
    tries += [("steps", value, value, 3.0) for value in (2, 4, 8, 12, 25)]
    probe, rng = Probe(painter, keys), random.Random("curves")
    scenes = [sample_held_out(rng, keys, "one") for _ in range(count)]
    pairs = [describe(s, rng, LANGUAGES[i % 2], lexicon) for i, s in enumerate(scenes)]
    texts, mention = zip(*pairs, strict=True)
    for name, value, steps, guidance in tries:
        pictures = draw(pipeline, list(texts), steps, guidance)
        marks = [judge(probe, *rest)["all"] for rest in zip(scenes, pictures, mention, strict=True)]
        shares[name][str(value)] = float(np.mean(marks))
        print(f"{name} {value}: {shares[name][str(value)]:.1%}", flush=True)
    return shares


def sheet(pictures: np.ndarray, prompts: list[str], path: Path, columns: int = 5) -> None:
    """Writes pictures with their prompts under them."""
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * 262, rows * 278), "white")
    pen = ImageDraw.Draw(page)
    for index, (pixels, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        x, y = index % columns * 262, index // columns * 278
        page.paste(Image.fromarray(as_bytes(pixels)), (x + 3, y + 3))
        pen.text((x + 4, y + 261), prompt[:44], fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path)


def seconds_a_picture(pipeline: StableDiffusionPipeline, steps: int = 25) -> float:
    """The best of three drawings of one picture."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        draw(pipeline, ["a cat"], steps)
        times.append(time.perf_counter() - begin)
    return min(times)


def evaluate(
    pipeline: StableDiffusionPipeline,
    painter: Painter,
    keys: tuple[str, ...],
    lexicon: Lexicon,
    run: Path,
    count: int,
) -> None:
    """Writes sheet.png and figures.json into the run folder."""
    prompts = list(SHEET_PROMPTS)
    sheet(draw(pipeline, prompts), prompts, run / "sheet.png")
    figures = {
        "probe": probe_accuracy(painter, keys),
        "seconds": seconds_a_picture(pipeline),
        "shares": attribute_shares(pipeline, painter, keys, lexicon, count),
    }
    (run / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
