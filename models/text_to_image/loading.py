"""Loading a diffusers folder: which files, which dtype, and what is wrong when it fails."""

import json
from pathlib import Path
from typing import Any

from models.contract import ModelSpec, Placement
from models.errors import Damaged, NotFound, OutOfMemory, Refused, as_model_error
from models.weights.sources import damaged_starter

INDEX = "model_index.json"


def load_pipeline(spec: ModelSpec, folder: Path, placement: Placement) -> Any:
    """The text-to-image pipeline of a folder, placed; never from pickles, never with its own code.

    Raises:
        Damaged: a file is missing or broken; of a starter with the command that rebuilds it.
        NotFound: the folder holds no text-to-image pipeline (not_found_task).
        Refused: its weights are pickles (refused_pickle).
        OutOfMemory: it does not fit.
    """
    _check(spec, folder)
    try:
        pipe = _read(folder, placement).to(placement.device)
    except Exception as error:
        known = as_model_error(error)
        broken = broken_file(folder)
        if isinstance(known, OutOfMemory) or broken is None:
            raise known if isinstance(known, OutOfMemory) else error from None
        raise _damaged(spec, broken) from None
    if not _draws_from_text(pipe):
        raise NotFound("not_found_task", model=spec.label)
    pipe.set_progress_bar_config(disable=True)
    if placement.device == "cpu":
        _channels_last(pipe)
    return pipe


def _check(spec: ModelSpec, folder: Path) -> None:
    if spec.starter:
        return
    if not (folder / INDEX).is_file():
        raise NotFound("not_found_task", model=spec.label)
    if not any(folder.glob("*/*.safetensors")):
        raise Refused("refused_pickle", model=spec.label)


def _damaged(spec: ModelSpec, file: str) -> Damaged:
    if spec.starter:
        return damaged_starter(spec.name, f"models/starter/{spec.name}/{file}")
    return Damaged("damaged_download", model=spec.label, file=file)


def _read(folder: Path, placement: Placement) -> Any:
    import torch
    from diffusers import AutoPipelineForText2Image, DiffusionPipeline
    from diffusers.utils import logging
    from transformers.utils import logging as transformers_logging

    logging.set_verbosity_error()  # its warnings quote the prompt
    logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    options: dict[str, Any] = {
        "dtype": getattr(torch, placement.dtype),
        "variant": variant(folder, placement.dtype),
        "use_safetensors": True,
        "local_files_only": True,
    }
    try:
        return AutoPipelineForText2Image.from_pretrained(folder, **options)
    except ValueError as error:
        if "can't find a pipeline linked to" not in str(error):
            raise
    return DiffusionPipeline.from_pretrained(folder, **options)


def variant(folder: Path, dtype: str) -> str | None:
    """Which files to read: "fp16" if the half-precision ones are there and wanted, or are all there is."""
    files = [file.name for file in folder.glob("*/*.safetensors")]
    halves = [name for name in files if ".fp16." in name]
    return "fp16" if halves and (dtype != "float32" or len(halves) == len(files)) else None


def _draws_from_text(pipe: Any) -> bool:
    from inspect import signature

    accepted = signature(pipe.__call__).parameters
    needed = {"image", "mask_image", "control_image"} & {
        name for name, one in accepted.items() if one.default is one.empty
    }
    modules = type(pipe).__module__
    edits = any(word in modules for word in ("img2img", "inpaint", "upscale", "video", "audio"))
    return "prompt" in accepted and not needed and not edits


def _channels_last(pipe: Any) -> None:
    import torch

    for name in ("unet", "vae"):
        if getattr(pipe, name, None) is not None:
            getattr(pipe, name).to(memory_format=torch.channels_last)


def broken_file(folder: Path) -> str | None:
    """The first file of a diffusers folder that is missing or cannot be read; None if all can."""
    if not (folder / INDEX).is_file():
        return INDEX
    for file in sorted(folder.rglob("*.json")):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            return file.relative_to(folder).as_posix()
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    for part, what in index.items():
        if isinstance(what, list) and what[0] is not None:
            found = _broken_part(folder / part)
            if found is not None:
                return found
    return None


def _broken_part(part: Path) -> str | None:
    from safetensors import SafetensorError, safe_open

    if part.name in {"unet", "vae", "text_encoder"} and not any(part.glob("*.safetensors")):
        return f"{part.name}/*.safetensors"
    if not part.is_dir():
        return part.name
    for file in sorted(part.glob("*.safetensors")):
        try:
            with safe_open(file, "pt"):
                pass
        except (SafetensorError, OSError):
            return f"{part.name}/{file.name}"
    return None


def native_size(pipe: Any) -> tuple[int, int]:
    """Width and height in pixels that the model was trained at."""
    scale = getattr(pipe, "vae_scale_factor", 8)
    side = getattr(pipe, "default_sample_size", None)
    if getattr(pipe, "unet", None) is not None:
        side = pipe.unet.config.sample_size
    elif side is None:
        side = 1024 // scale
    height, width = (side, side) if isinstance(side, int) else side
    return width * scale, height * scale
