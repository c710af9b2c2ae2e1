"""python -m training.evaluate scenes: what the shipped weights draw, measured.

Held-out pictures are combinations never trained on. Only what the caption names is scored.
"""

import argparse
import itertools
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from models.contract import ModelSpec, Stop
from models.runtime.placement import place
from models.select import find
from models.settings import Settings
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.diffusers_engine import DiffusersTextToImage
from models.text_to_image.requests import ImageRequest
from models.weights.sources import STARTERS
from training.scenes.captions import LANGUAGES, caption
from training.scenes.drawing import draw_all
from training.scenes.export import load_pipeline
from training.scenes.probe import score
from training.scenes.samples import GUIDANCE, SHEET, STEPS, generate
from training.scenes.scene_probe import SceneProbe, judge, learned_probe
from training.scenes.world import Composition, Picture, Scene, sample

STARTER = STARTERS / "scenes"
GUIDANCES = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0)
STEP_COUNTS = (2, 3, 5, 8, 12, 25, 50)
Verdicts = dict[str, list[bool]]


def summary(verdicts: list[Verdicts]) -> dict[str, Any]:
    """Shares right: of all attributes, of each, and of pictures with every attribute right."""
    right, total = Counter(), Counter()
    for verdict in verdicts:
        for name, answers in verdict.items():
            right[name] += sum(answers)
            total[name] += len(answers)
    whole = [all(itertools.chain(*verdict.values())) for verdict in verdicts]
    return {
        "pictures": len(verdicts),
        "attributes": round(right.total() / total.total(), 4),
        "all_right": round(sum(whole) / len(whole), 4),
        "each": {name: round(right[name] / total[name], 4) for name in total if total[name]},
    }


def unseen(kinds: tuple[str, ...], count: int, seed: int) -> list[Picture]:
    """Held-out pictures of the kinds in turn."""
    rng = random.Random(seed)
    return [sample(rng, kinds[index % len(kinds)], unseen=True) for index in range(count)]


def described(pictures: list[Picture], language: str, seed: int = 1) -> list[str]:
    """A caption of each that names every attribute."""
    rng = random.Random(seed)
    return [caption(picture, rng, language, complete=True).text for picture in pictures]


def drawn_figures(probe: SceneProbe, count: int) -> dict[str, Any]:
    """How often the scorers are right on drawn pictures, where the truth is known."""
    rng = random.Random(11)
    shapes = [sample(rng, ("single", "pair")[index % 2]) for index in range(count)]
    places = [sample(rng, "scene") for _ in range(count)]
    verdicts = [
        score(pixels, picture)
        for pixels, picture in zip(draw_all(shapes), shapes, strict=True)
        if isinstance(picture, Composition)
    ]
    return {
        "compositions": summary(verdicts),
        "scenes": summary(judge(probe, draw_all(places), _scenes(places))),
    }


def _scenes(pictures: list[Picture]) -> list[Scene]:
    return [picture for picture in pictures if isinstance(picture, Scene)]


class Judge:
    """Generates from one pipeline for held-out pictures and scores what comes out."""

    def __init__(self, pipeline: StableDiffusionPipeline, probe: SceneProbe) -> None:
        self.pipeline, self.probe = pipeline, probe

    def made(self, pictures: list[Picture], language: str, **settings: Any) -> np.ndarray:
        """One generated picture for the caption of each, seeds 0, 1, 2 ..."""
        texts = described(pictures, language)
        return generate(self.pipeline, texts, range(len(texts)), **settings)

    def compositions(self, count: int, language: str = "en", **settings: Any) -> dict[str, Any]:
        """Attributes right on held-out compositions."""
        pictures = unseen(("single", "pair"), count, seed=21)
        made = self.made(pictures, language, **settings)
        pairs = zip(made, pictures, strict=True)
        return summary([score(m, p) for m, p in pairs if isinstance(p, Composition)])

    def scenes(self, count: int, language: str = "en", **settings: Any) -> dict[str, Any]:
        """Place, time of day and named objects right on held-out scenes."""
        pictures = unseen(("scene",), count, seed=22)
        made = self.made(pictures, language, **settings)
        return summary(judge(self.probe, made, _scenes(pictures)))


def seed_figures(pipeline: StableDiffusionPipeline, seeds: int = 8) -> dict[str, Any]:
    """Mean difference of two seeds' pictures (of 255), and whether one seed gives one picture."""
    differences = {}
    for prompt in (SHEET[0], SHEET[12], SHEET[13]):
        made = generate(pipeline, [prompt] * seeds, range(seeds)).astype(float)
        pairs = itertools.combinations(made, 2)
        differences[prompt] = round(float(np.mean([np.abs(a - b).mean() for a, b in pairs])), 2)
    twice = [generate(pipeline, [SHEET[1]], [3]).tobytes() for _ in range(2)]
    return {"seeds": seeds, "mean_difference": differences, "same_bytes": twice[0] == twice[1]}


def seconds_a_picture(folder: Path, repeats: int = 5) -> dict[str, float]:
    """The median time of one picture at default settings, as the page draws it and by plain diffusers."""
    plain = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    plain.set_progress_bar_config(disable=True)
    spec, settings = find(TEXT_TO_IMAGE, "genlab/scenes"), Settings(GENLAB_DEVICE="cpu")
    engine = DiffusersTextToImage.load(spec, folder, place(spec, settings), settings)
    ways = {
        "page": lambda seed: list(engine.stream(_asked(spec, seed), Stop())),
        "plain": lambda seed: generate(plain, [SHEET[0]], [seed]),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(repeats + 1):  # in turns; the first warms up
        for name, way in ways.items():
            begun = time.perf_counter()
            way(seed)
            taken[name].append(time.perf_counter() - begun)
    return {name: round(sorted(times[1:])[repeats // 2], 3) for name, times in taken.items()}


def _asked(spec: ModelSpec, seed: int) -> ImageRequest:
    asked = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE}
    return ImageRequest.of(prompt=SHEET[0], seed=seed, **asked).with_defaults(spec)


def figures(folder: Path, samples: int, curve: int) -> dict[str, Any]:
    """Every figure of the model card; `curve` pictures for each point of a curve."""
    probe = learned_probe()
    judged = Judge(load_pipeline(folder), probe)
    report: dict[str, Any] = {"drawn": drawn_figures(probe, max(samples, 200))}
    show("drawn", report["drawn"])
    for language in LANGUAGES:
        report[language] = {
            "compositions": judged.compositions(samples, language),
            "scenes": judged.scenes(samples // 2, language),
        }
        show(language, report[language])
    report["seeds"] = seed_figures(judged.pipeline)
    show("seeds", report["seeds"])
    report["seconds"] = seconds_a_picture(folder) | {"threads": torch.get_num_threads()}
    show("seconds", report["seconds"])
    if curve:
        report["curves"] = {"pictures": curve, **curves(judged, curve)}
    return report


def curves(judged: Judge, count: int) -> dict[str, Any]:
    """Share of attributes right over guidance (at 25 steps) and steps (at the default guidance)."""
    settings = {
        "guidance": [{"guidance": value} for value in GUIDANCES],
        "steps": [{"steps": value} for value in STEP_COUNTS],
    }
    made: dict[str, Any] = {}
    for name, points in settings.items():
        made[name] = {}
        for point in points:
            value = str(point[name])
            made[name][value] = [
                judged.compositions(count, **point)["attributes"],
                judged.scenes(count // 2, **point)["attributes"],
            ]
            show(f"{name} {value}", made[name][value])
    return made


def plot(report: dict[str, Any], path: Path) -> None:
    """The two curves as one small PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), sharey=True)
    for axis, name in zip(axes, ("guidance", "steps"), strict=True):
        points = report["curves"][name]
        values = [float(value) for value in points]
        for index, label in enumerate(("compositions", "scenes")):
            axis.plot(values, [100 * pair[index] for pair in points.values()], "o-", label=label)
        axis.set(xlabel={"guidance": "guidance_scale", "steps": "num_inference_steps"}[name])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("attributes right (%)")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def show(name: str, value: Any) -> None:
    """One line of the report as it comes."""
    print(f"{name}: {json.dumps(value, ensure_ascii=False)}", flush=True)


def main(words: list[str] | None = None) -> None:
    """Measures, prints, and writes figures.json and curves.png where --out says."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate scenes")
    parser.add_argument("--folder", type=Path, default=STARTER, help="the weights to measure")
    parser.add_argument("--samples", type=int, default=500, help="held-out compositions")
    parser.add_argument("--curve", type=int, default=100, help="pictures a point; 0 for no curves")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's own")
    parser.add_argument("--out", type=Path, help="folder for figures.json and curves.png")
    options = parser.parse_args(words)
    if options.threads:
        torch.set_num_threads(options.threads)
    show("settings", {"samples": options.samples, "steps": STEPS, "guidance": GUIDANCE})
    report = figures(options.folder, options.samples, options.curve)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "figures.json").write_text(json.dumps(report, indent=1) + "\n")
        if options.curve:
            plot(report, options.out / "curves.png")
