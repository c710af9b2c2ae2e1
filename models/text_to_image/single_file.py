"""A Stable Diffusion checkpoint in one safetensors file, as Civitai gives, as a diffusers pipeline.

diffusers converts the weights. What it would fetch from the hub for that, whatever it is told about local
files (the configurations, the tokenizer), ships in layouts/ beside this file.
"""

from pathlib import Path
from typing import Any

from models.contract import ModelSpec, Placement
from models.errors import NotFound, OutOfMemory, as_model_error
from models.weights import safetensors_files

LAYOUTS = Path(__file__).resolve().parent / "layouts"
CLASSES = {
    "sd1": "StableDiffusionPipeline",
    "sd2": "StableDiffusionPipeline",
    "sdxl": "StableDiffusionXLPipeline",
}
PADDING = {"sd1": ("<|endoftext|>",), "sd2": ("!",), "sdxl": ("<|endoftext|>", "!")}  # by tokenizer


def path_in(spec: ModelSpec, folder: Path) -> Path:
    """The file of a model with source "file:NAME" in the folder that models/weights/sources.py gives."""
    return folder / spec.name.rpartition("/")[2]


def require_layout(spec: ModelSpec, path: Path) -> safetensors_files.Layout:
    """The architecture: "sd1", "sd2" or "sdxl".

    Raises:
        Damaged: the file is cut or no safetensors file (damaged_file).
        NotFound: it is a LoRA (not_found_lora_only), or another architecture (not_found_layout).
    """
    layout = safetensors_files.read(path).layout
    if layout == "lora":
        raise NotFound("not_found_lora_only", model=spec.label)
    if not layout:
        raise NotFound("not_found_layout", model=spec.label)
    return layout


def load(spec: ModelSpec, path: Path, placement: Placement) -> Any:
    """The pipeline of a single file, on the CPU still.

    Raises:
        Damaged, NotFound: as `require_layout`; a part of the model is missing (not_found_layout).
        OutOfMemory: it does not fit.
    """
    import diffusers
    import torch

    layout = require_layout(spec, path)
    kind = getattr(diffusers, CLASSES[layout])
    try:
        pipe = kind.from_single_file(
            str(path),
            config=str(LAYOUTS / layout),
            dtype=getattr(torch, placement.dtype),
            local_files_only=True,
            **_tokenizers(layout),
        )
    except Exception as error:
        problem = as_model_error(error)
        if isinstance(problem, OutOfMemory):
            raise problem from None
        raise NotFound("not_found_layout", model=spec.label) from None
    parts = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    if any(weights.is_meta for part in parts for weights in part.parameters()):
        raise NotFound("not_found_layout", model=spec.label)  # a part was not in the file
    if training := prediction(layout, path, pipe.unet):
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **training)
    return pipe


def _tokenizers(layout: str) -> dict[str, Any]:
    from transformers import CLIPTokenizer

    names = ("tokenizer", "tokenizer_2")
    return {
        name: CLIPTokenizer.from_pretrained(LAYOUTS / "tokenizer", pad_token=padding)
        for name, padding in zip(names, PADDING[layout], strict=False)
    }


def prediction(layout: str, path: Path, unet: Any) -> dict[str, Any]:
    """What the scheduler must know of the training, where it is not the prediction of noise.

    Makers of SDXL models mark it by an empty tensor. Stable Diffusion 2 has both kinds without a mark: for
    pure noise one that was trained to predict velocity answers with nearly the negative of what it sees
    less its size, so its mean lies far below; the test is AUTOMATIC1111's (sd_models_config.py).
    """
    import torch

    names = safetensors_files.read(path).shapes
    if layout == "sdxl" and "v_pred" in names:
        zero = {"rescale_betas_zero_snr": True} if "ztsnr" in names else {}
        return {"prediction_type": "v_prediction", **zero}
    if layout != "sd2":
        return {}
    ones = torch.ones(1, 4, 8, 8, dtype=unet.dtype, device=unet.device) * 0.5
    text = ones.new_ones(1, 2, unet.config.cross_attention_dim) * 0.5
    with torch.inference_mode():
        output = unet(
            ones, torch.tensor([999], device=unet.device), encoder_hidden_states=text
        ).sample
    if (output - ones).float().mean() >= -1:
        return {}
    unet.register_to_config(sample_size=96)  # these were trained at 768 pixels
    return {"prediction_type": "v_prediction"}
