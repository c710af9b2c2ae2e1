"""Stable Diffusion v1-4's architecture, from its configuration, with random weights; full or scaled down.

Weights change neither speed nor memory, so loading, placing and timing need no download.
Source of the configuration: huggingface.co/CompVis/stable-diffusion-v1-4.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

MILLIONS = {"unet": 859.5, "text_encoder": 123.1, "vae": 83.7, "safety_checker": 304.0}


@dataclass(frozen=True, slots=True)
class Size:
    """Widths of the parts; their kinds are v1-4's, and but for tiny their depths.

    Attributes:
        side: of the latents; a picture has eight times as many pixels a side.
        depth: layers of a block, of the text encoder, of the safety checker.
        text, vision: hidden size of the text encoder and of the safety checker.
    """

    unet: tuple[int, ...]
    vae: tuple[int, ...]
    text: int
    vision: int
    side: int
    depth: tuple[int, int, int] = (2, 12, 24)


SIZES = {
    "full": Size((320, 640, 1280, 1280), (128, 256, 512, 512), 768, 1024, 64),
    "reduced": Size((64, 128, 256, 256), (32, 64, 128, 128), 192, 256, 32),
    "tiny": Size((32, 32, 64, 64), (32, 32, 32, 32), 24, 32, 8, (1, 2, 2)),
}


def parts(size: str = "full") -> dict[str, Any]:
    """The models, on the device and in the dtype that are torch's defaults now."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel

    of = SIZES[size]
    blocks = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
    unet = UNet2DConditionModel(
        sample_size=of.side,
        block_out_channels=of.unet,
        down_block_types=blocks,
        up_block_types=tuple(b.replace("Down", "Up") for b in reversed(blocks)),
        layers_per_block=of.depth[0],
        attention_head_dim=8,
        cross_attention_dim=of.text,
    )
    vae = AutoencoderKL(
        block_out_channels=of.vae,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=of.depth[0],
        latent_channels=4,
        sample_size=of.side * 8,
    )
    text = CLIPTextConfig(
        hidden_size=of.text,
        intermediate_size=4 * of.text,
        num_hidden_layers=of.depth[1],
        num_attention_heads=12,
        max_position_embeddings=77,
        projection_dim=of.text,
    )
    vision = {
        "hidden_size": of.vision,
        "intermediate_size": 4 * of.vision,
        "num_hidden_layers": of.depth[2],
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "projection_dim": of.text,
    }
    checker = CLIPConfig(vision_config=vision, projection_dim=of.text)
    return {
        "unet": unet,
        "vae": vae,
        "text_encoder": CLIPTextModel(text),
        "safety_checker": StableDiffusionSafetyChecker(checker),
    }


def work(steps: int, size: str = "full") -> float:
    """Operations of one picture with guidance: text encoder, steps and decoder; no weights are made."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.inference_mode():
        models = parts(size)
        side, text = SIZES[size].side, SIZES[size].text
        latents, words = torch.zeros(2, 4, side, side), torch.zeros(2, 77, text)
        tokens = torch.zeros(2, 77, dtype=torch.long)
        with FlopCounterMode(display=False) as step:
            models["unet"](latents, torch.tensor(1.0), encoder_hidden_states=words)
        with FlopCounterMode(display=False) as once:
            models["text_encoder"](tokens)
            models["vae"].decode(latents[:1])
    return float(steps * step.get_total_flops() + once.get_total_flops())


def save(folder: Path, device: str = "cuda", size: str = "full") -> Path:
    """Build the pipeline and save it: for CUDA in float16, as its fp16 files are (about 2.7 GB)."""
    import torch
    from diffusers import PNDMScheduler, StableDiffusionPipeline
    from transformers import CLIPImageProcessor

    from tests.tiny import clip_tokenizer

    torch.manual_seed(0)
    half = device == "cuda"
    with torch.device(device):
        models = {n: p.half() if half else p for n, p in parts(size).items()}
    pipe = StableDiffusionPipeline(
        **models,
        tokenizer=clip_tokenizer(77),
        scheduler=PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            skip_prk_steps=True,
            steps_offset=1,
        ),
        feature_extractor=CLIPImageProcessor(),
    )
    pipe.save_pretrained(folder, variant="fp16" if half else None)
    return folder
