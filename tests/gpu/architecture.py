"""Stable Diffusion v1-4's full architecture, from its configuration, with random weights.

Weights change neither speed nor memory, so loading, placing and timing need no download.
Source of the configuration: huggingface.co/CompVis/stable-diffusion-v1-4.
"""

from pathlib import Path
from typing import Any

MILLIONS = {"unet": 859.5, "text_encoder": 123.1, "vae": 83.7, "safety_checker": 304.0}


def parts() -> dict[str, Any]:
    """The models, on the device and in the dtype that are torch's defaults now."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel

    blocks = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
    unet = UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(320, 640, 1280, 1280),
        down_block_types=blocks,
        up_block_types=tuple(b.replace("Down", "Up") for b in reversed(blocks)),
        layers_per_block=2,
        attention_head_dim=8,
        cross_attention_dim=768,
    )
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    )
    text = CLIPTextConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=77,
        projection_dim=768,
    )
    vision = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "projection_dim": 768,
    }
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=768))
    return {
        "unet": unet,
        "vae": vae,
        "text_encoder": CLIPTextModel(text),
        "safety_checker": checker,
    }


def save(folder: Path, device: str = "cuda") -> Path:
    """Build the pipeline in float16 and save it as its fp16 files are: about 2.7 GB."""
    import torch
    from diffusers import PNDMScheduler, StableDiffusionPipeline
    from transformers import CLIPImageProcessor

    from tests.tiny import clip_tokenizer

    torch.manual_seed(0)
    with torch.device(device):
        models = {name: part.half() for name, part in parts().items()}
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
    pipe.save_pretrained(folder, variant="fp16")
    return folder
