"""Loading a diffusers folder: which files, which dtype, and what is wrong when it fails."""

import json
from inspect import signature
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
        problem, broken = as_model_error(error), _broken_file(folder)
        if isinstance(problem, OutOfMemory):
            raise problem from None
        if broken is None:
            raise
        raise _damaged(spec, broken) from None
    if not _takes_only_text(pipe):
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
    """Which files to read: "fp16" if half-precision files are there and wanted, or are all there is."""
    files = [file.name for file in folder.glob("*/*.safetensors")]
    half = [name for name in files if ".fp16." in name]
    return "fp16" if half and (dtype != "float32" or len(half) == len(files)) else None


def _takes_only_text(pipe: Any) -> bool:
    parameters = signature(pipe.__call__).parameters
    needed = {name for name, one in parameters.items() if one.default is one.empty}
    module = type(pipe).__module__
    edits = any(word in module for word in ("img2img", "inpaint", "upscale", "video", "audio"))
    return (
        "prompt" in parameters
        and not needed & {"image", "mask_image", "control_image"}
        and not edits
    )


def _channels_last(pipe: Any) -> None:
    import torch

    for name in ("unet", "vae"):
        if getattr(pipe, name, None) is not None:
            getattr(pipe, name).to(memory_format=torch.channels_last)


def _broken_file(folder: Path) -> str | None:
    """The first file of a diffusers folder that is missing or cannot be read; None if all can."""
    from models.torch_tools.loading import broken_file

    if not (folder / INDEX).is_file():
        return INDEX
    return broken_file(folder) or _missing_part(folder)


def _missing_part(folder: Path) -> str | None:
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    for name, classes in index.items():
        if not isinstance(classes, list) or classes[0] is None:
            continue
        weights = list((folder / name).glob("*.safetensors"))
        if name in {"unet", "vae", "text_encoder"} and not weights:
            return f"{name}/*.safetensors"
        if not (folder / name).is_dir():
            return name
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
