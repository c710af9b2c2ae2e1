"""Stable Diffusion checkpoints in one file, in the original names of their tensors, and LoRAs: tiny.

The weights are random, the names are those that CompVis and Stability AI wrote and that Civitai's files
have; so diffusers' own conversion reads them as it reads real ones.
"""

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

# The order counts: what is replaced first is no longer there for the next.
_RESNET = (
    ("norm1.", "in_layers.0."),
    ("conv1.", "in_layers.2."),
    ("time_emb_proj.", "emb_layers.1."),
    ("norm2.", "out_layers.0."),
    ("conv2.", "out_layers.3."),
    ("conv_shortcut.", "skip_connection."),
)
_UNET_ENDS = {
    "time_embedding.linear_1.": "time_embed.0.",
    "time_embedding.linear_2.": "time_embed.2.",
    "add_embedding.linear_1.": "label_emb.0.0.",
    "add_embedding.linear_2.": "label_emb.0.2.",
    "conv_in.": "input_blocks.0.0.",
    "conv_norm_out.": "out.0.",
    "conv_out.": "out.2.",
}
_OPEN_CLIP = (
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("layer_norm1.", "ln_1."),
    ("layer_norm2.", "ln_2."),
    ("mlp.fc1.", "mlp.c_fc."),
    ("mlp.fc2.", "mlp.c_proj."),
    ("self_attn.out_proj.", "attn.out_proj."),
    ("text_model.final_layer_norm.", "ln_final."),
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
)


def pipeline(layout: str, layouts: Path) -> Any:
    """A tiny pipeline of the architecture "sd1", "sd2" or "sdxl", with random weights.

    Its configurations are saved to `layouts`, as models/text_to_image/layouts has the real ones.
    """
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from models.text_to_image import single_file

    torch.manual_seed(0)
    size = {"vocab_size": 49408, "num_hidden_layers": 2, "num_attention_heads": 2}
    width = 40 if layout == "sd2" else 32
    size |= {"hidden_size": width, "intermediate_size": 64, "projection_dim": width}
    size |= {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    xl = layout == "sdxl"
    extra: dict[str, Any] = {}
    if xl:
        extra = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 48,
        }
    parts = {
        "unet": diffusers.UNet2DConditionModel(
            sample_size=32,
            block_out_channels=(16, 32),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim={"sd1": 32, "sd2": 40, "sdxl": 80}[layout],
            attention_head_dim=2,
            use_linear_projection=layout != "sd1",
            norm_num_groups=8,
            **extra,
        ),
        "vae": diffusers.AutoencoderKL(
            block_out_channels=(16, 16),
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=8,
            sample_size=64,
            scaling_factor=0.13025 if xl else 0.18215,
        ),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**size)),
        "scheduler": diffusers.DPMSolverMultistepScheduler.from_pretrained(
            single_file.LAYOUTS / layout / "scheduler"
        ),
    }
    if xl:
        size |= {"hidden_size": 48, "projection_dim": 48}  # diffusers parts the two by their width
        parts["text_encoder_2"] = CLIPTextModelWithProjection(CLIPTextConfig(**size))
    for name, part in parts.items():
        save = part.config.save_pretrained if name.startswith("text") else part.save_config
        save(layouts / layout / name)
    index = (single_file.LAYOUTS / layout / "model_index.json").read_text()
    (layouts / layout / "model_index.json").write_text(index)
    if not (layouts / "tokenizer").exists():
        (layouts / "tokenizer").symlink_to(single_file.LAYOUTS / "tokenizer")
    parts |= single_file._tokenizers(layout)
    if not xl:
        parts |= {"safety_checker": None, "feature_extractor": None}
    kind = getattr(diffusers, single_file.CLASSES[layout])
    return kind(**parts)


def save(pipe: Any, file: Path, dtype: torch.dtype = torch.float16, **more: torch.Tensor) -> Path:
    """Write a pipeline as one file under the original names; `more` are tensors beside it."""
    weights = _unet(pipe.unet) | _vae(pipe.vae)
    if hasattr(pipe, "text_encoder_2"):
        weights |= _clip(pipe.text_encoder, "conditioner.embedders.0.transformer.")
        weights |= _open_clip(pipe.text_encoder_2, "conditioner.embedders.1.model.")
    elif pipe.unet.config.use_linear_projection:
        weights |= _open_clip(pipe.text_encoder, "cond_stage_model.model.")
    else:
        weights |= _clip(pipe.text_encoder, "cond_stage_model.transformer.")
    weights = {k: v.to(dtype).contiguous().clone() for k, v in (weights | more).items()}
    save_file(weights, file)
    return file


def _unet(unet: Any) -> dict[str, torch.Tensor]:
    layers = unet.config.layers_per_block
    names = {}
    for name, weights in unet.state_dict().items():
        new = next((n + name[len(o) :] for o, n in _UNET_ENDS.items() if name.startswith(o)), "")
        names["model.diffusion_model." + (new or _unet_block(name, layers))] = weights
    return names


def _unet_block(name: str, layers: int) -> str:
    parts = name.split(".")
    if parts[0] == "mid_block":
        number = int(parts[2])
        place = 1 if parts[1] == "attentions" else 2 * number
        return _inner(f"middle_block.{place}", parts[1], parts[3:])
    block, kind, number = int(parts[1]), parts[2], int(parts[3])
    if parts[0] == "down_blocks":
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{parts[-1]}"
        place = f"input_blocks.{1 + block * (layers + 1) + number}"
    else:
        if kind == "upsamplers":
            at = (block + 1) * (layers + 1) - 1
            has_attention = block == 0  # as the tiny UNets are built
            return f"output_blocks.{at}.{1 + has_attention}.conv.{parts[-1]}"
        place = f"output_blocks.{block * (layers + 1) + number}"
    return _inner(f"{place}.{int(kind == 'attentions')}", kind, parts[4:])


def _inner(place: str, kind: str, rest: list[str]) -> str:
    name = ".".join(rest)
    if kind == "resnets":
        for new, old in _RESNET:
            name = name.replace(new, old)
    return f"{place}.{name}"


def _vae(vae: Any) -> dict[str, torch.Tensor]:
    names = {}
    last = len(vae.config.block_out_channels) - 1
    for name, weights in vae.state_dict().items():
        new = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        new = re.sub(r"down_blocks\.(\d)\.resnets\.", r"down.\1.block.", new)
        new = re.sub(r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample.", new)
        up = re.compile(r"up_blocks\.(\d)\.(resnets|upsamplers\.0)\.")
        if result := up.search(new):
            kind = "block" if result[2] == "resnets" else "upsample"
            new = up.sub(f"up.{last - int(result[1])}.{kind}.", new)
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", new)
        if "mid_block.attentions.0." in new:
            new = new.replace("mid_block.attentions.0.", "mid.attn_1.").replace(
                "group_norm", "norm"
            )
            for old, short in (
                ("to_q", "q"),
                ("to_k", "k"),
                ("to_v", "v"),
                ("to_out.0", "proj_out"),
            ):
                new = new.replace(f"{old}.", f"{short}.")
            if weights.ndim == 2:
                weights = weights[:, :, None, None]  # they were convolutions
        names[f"first_stage_model.{new}"] = weights
    return names


def _clip(encoder: Any, prefix: str) -> dict[str, torch.Tensor]:
    flat = {k.removeprefix("text_model."): v for k, v in encoder.state_dict().items()}
    return {f"{prefix}text_model.{name}": weights for name, weights in flat.items()}


def _open_clip(encoder: Any, prefix: str) -> dict[str, torch.Tensor]:
    names: dict[str, torch.Tensor] = {}
    flat = {
        k if k.startswith(("text_model.", "text_projection")) else f"text_model.{k}": v
        for k, v in encoder.state_dict().items()
    }
    for name, weights in flat.items():
        if name == "text_projection.weight":
            names["text_projection"] = weights.T
        elif ".q_proj." in name:
            all_three = [flat[name.replace("q_proj", f"{one}_proj")] for one in "qkv"]
            layer = name.partition(".self_attn")[0].replace(*_OPEN_CLIP[0])
            names[f"{layer}.attn.in_proj_{name.rpartition('.')[2]}"] = torch.cat(all_three)
        elif ".k_proj." not in name and ".v_proj." not in name:
            for old, new in _OPEN_CLIP:
                name = name.replace(old, new)
            names[name] = weights
    return {prefix + name: weights for name, weights in names.items()}


def lora(pipe: Any, file: Path, *, kohya: bool = False, seed: int = 1, scale: float = 3.0) -> Path:
    """A LoRA of rank 2 for the attention of a UNet, as peft's trainers name it or as kohya's do."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, torch.Tensor] = {}
    for name, module in pipe.unet.named_modules():
        if not (isinstance(module, torch.nn.Linear) and re.search(r"to_(q|k|v|out\.0)$", name)):
            continue
        down = torch.randn(2, module.in_features, generator=generator) / module.in_features**0.5
        up = torch.randn(module.out_features, 2, generator=generator) * scale
        if kohya:
            key = "lora_unet_" + name.replace(".", "_")
            weights |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}
            weights[f"{key}.alpha"] = torch.tensor(2.0)
        else:
            weights[f"unet.{name}.lora_A.weight"] = down
            weights[f"unet.{name}.lora_B.weight"] = up
    save_file({k: v.half() if v.ndim else v for k, v in weights.items()}, file)
    return file


def configuration(layouts: Path, layout: str, part: str, **values: Any) -> None:
    """Change one of the configurations."""
    file = layouts / layout / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
