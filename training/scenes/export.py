"""Writes and reads the diffusers folder: float16 on disk in files under 10 MB, float32 in memory."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderDC,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTokenizer

from models.text_to_image.autoencoder import PipelineAutoencoder
from training.scenes.autoencoder import CHECKPOINT as AUTOENCODER
from training.scenes.captions import Lexicon
from training.scenes.diffusion import CHECKPOINT as DIFFUSION
from training.scenes.progress import load_state, save_whole
from training.scenes.text import FOLDER, compact, known_words
from training.scenes.things import all_things, first_keys

SHARD = "9MB"
STEPS = "steps.json"  # how far each part was trained


def new_scheduler() -> DPMSolverMultistepScheduler:
    """The scheduler that agrees with the training: flow matching, a linear path."""
    return DPMSolverMultistepScheduler(
        prediction_type="sample",  # the UNet says the latents without noise
        use_flow_sigmas=True,
        flow_shift=1.0,
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
        steps_offset=1,  # unused; the pipeline warns of any other value
    )


def new_pipeline(
    autoencoder: AutoencoderDC,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
    scaling_factor: float,
) -> StableDiffusionPipeline:
    """A pipeline of the parts; the autoencoder becomes one that takes a generator."""
    config = {name: value for name, value in autoencoder.config.items() if name[0] != "_"}
    config["scaling_factor"] = (
        scaling_factor  # with the names of defaults beside it, it would be ignored
    )
    vae = PipelineAutoencoder.from_config(config)
    vae.load_state_dict(autoencoder.state_dict())
    # The pipeline counts these widths to know the factor of 32; the class itself has none.
    vae.register_to_config(block_out_channels=list(config["encoder_block_out_channels"]))
    pipeline = StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=text_encoder.eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def export(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Writes the pipeline in float16; readers find the old folder or the new one, never a half."""
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    half = StableDiffusionPipeline(**pipeline.components, requires_safety_checker=False)
    for name in ("vae", "text_encoder", "unet"):
        getattr(half, name).half()
    half.save_pretrained(fresh, max_shard_size=SHARD)
    for name in ("vae", "text_encoder", "unet"):
        getattr(half, name).float()
    _edit(fresh / "model_index.json", lambda index: index | {"vae": ["diffusers", "AutoencoderDC"]})
    _edit(fresh / "vae" / "config.json", lambda config: config | {"_class_name": "AutoencoderDC"})
    compact(fresh / "tokenizer" / "tokenizer.json")
    _edit(fresh / "text_encoder" / "config.json", _as_float32)
    if folder.exists():
        for note in folder.iterdir():
            if note.is_file() and note.name != "model_index.json":
                shutil.copy2(note, fresh / note.name)
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def write_words(file: Path, things: int, lexicon: Lexicon) -> None:
    """What the model knows: the things with their names, and every word and emoji of its captions."""
    keys = first_keys(things)
    names = {key: all_things()[key].names for key in keys}
    words = {word for few in known_words(things, lexicon).values() for word in few}
    emoji = {lexicon.emoji[key] for key in keys if key in lexicon.emoji}
    vocabulary = {"things": names, "words": sorted(words | emoji)}
    file.write_text(json.dumps(vocabulary, ensure_ascii=False, indent=1) + "\n")


def write_steps(file: Path, run: Path) -> None:
    """How many steps each part of a run has seen."""
    states = {name: load_state(run / name) for name in (AUTOENCODER, DIFFUSION)}
    steps = {name: state["step"] for name, state in states.items() if state}
    file.write_text(json.dumps(steps) + "\n")


def _edit(file: Path, change) -> None:  # noqa: ANN001
    file.write_text(json.dumps(change(json.loads(file.read_text())), indent=2) + "\n")


def _as_float32(config: dict) -> dict:
    """Names float32, which is what transformers goes by when it loads."""
    return {k: v for k, v in config.items() if k != "torch_dtype"} | {"dtype": "float32"}


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    """The folder's pipeline in float32 and channels_last, without a progress bar."""
    vae = PipelineAutoencoder.from_pretrained(folder / "vae", local_files_only=True)
    pipeline = StableDiffusionPipeline.from_pretrained(folder, vae=vae, local_files_only=True)
    pipeline.unet.to(memory_format=torch.channels_last)
    pipeline.vae.to(memory_format=torch.channels_last)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def resume(folder: Path, run: Path) -> None:
    """Makes a run folder of a diffusers folder, from which every stage goes on; float16 as it is.

    The optimiser's state is not in it; it fills again in about fifty steps.
    """
    pipeline, steps = load_pipeline(folder), json.loads((folder / STEPS).read_text())
    drawer = {
        f"text_encoder.{name}": value for name, value in pipeline.text_encoder.state_dict().items()
    }
    drawer |= {f"unet.{name}": value for name, value in pipeline.unet.state_dict().items()}
    for name, state in ((AUTOENCODER, pipeline.vae.state_dict()), (DIFFUSION, drawer)):
        states = {"model": state, "average": state, "step": steps[name], "optimiser": None}
        save_whole(states, run / name)
    pipeline.tokenizer.save_pretrained(run / FOLDER)
