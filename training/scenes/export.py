"""Writes and reads the diffusers folder: fp16 on disk, float32 in memory."""

import copy
import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTokenizer

PARTS = ("text_encoder", "tokenizer", "unet", "vae", "scheduler")


def new_scheduler() -> DPMSolverMultistepScheduler:
    """The scheduler of the folder, which agrees with the training's cosine schedule and target."""
    return DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,  # unused with "trailing"; the pipeline warns of any other value
        algorithm_type="dpmsolver++",
    )


def export(
    autoencoder: AutoencoderKL,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
    folder: Path,
) -> None:
    """Writes the pipeline to `folder`; readers find the old one or the new one, never a half."""
    halves = []
    for model in (autoencoder, text_encoder, unet):
        half = copy.deepcopy(model).cpu()
        halves.append(half.half().eval())
    pipeline = StableDiffusionPipeline(
        vae=halves[0],
        text_encoder=halves[1],
        tokenizer=tokenizer,
        unet=halves[2],
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    pipeline.save_pretrained(fresh)
    as_float32(fresh / "text_encoder" / "config.json")
    forget_path(fresh / "vae" / "config.json")
    if folder.exists():
        for kept in folder.iterdir():
            if kept.is_file() and kept.name != "model_index.json":
                shutil.copy2(kept, fresh / kept.name)
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def as_float32(config: Path) -> None:
    """Names float32 in the configuration, which is what transformers goes by when it loads."""
    settings = json.loads(config.read_text())
    settings.pop("torch_dtype", None)
    settings["dtype"] = "float32"
    config.write_text(json.dumps(settings, indent=2) + "\n")


def forget_path(config: Path) -> None:
    """Takes out the folder that a model was started from."""
    settings = json.loads(config.read_text())
    settings.pop("_name_or_path", None)
    config.write_text(json.dumps(settings, indent=2) + "\n")


def load_pipeline(folder: Path, device: str = "cpu") -> StableDiffusionPipeline:
    """The pipeline of `folder` in float32, convolutions in channels_last, no progress bar."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.unet.to(memory_format=torch.channels_last)
    pipeline.vae.to(memory_format=torch.channels_last)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)
