"""The KL autoencoder: pictures of 64 x 64 pixels to latents of 4 x 16 x 16 and back."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional as F

from training.scenes.drawing import SIDE, draw_all
from training.scenes.progress import Progress, load_state, save_sheet, save_whole
from training.scenes.world import sample

WIDTHS = (32, 64, 64)
CROP = 32
KL_WEIGHT = 1e-6
EDGE_WEIGHT = 1.0
WHOLE_FROM = 0.7  # share of the training after which whole pictures follow the crops
CHECKPOINT_STEPS = 400
MIX = {"single": 0.15, "pair": 0.2, "scene": 0.65}


def new_autoencoder() -> AutoencoderKL:
    """A fresh autoencoder; no attention, so that it may learn on crops."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=SIDE,
        mid_block_add_attention=False,
    ).to(memory_format=torch.channels_last)


def to_tensor(pictures: np.ndarray, device: torch.device) -> torch.Tensor:
    """Pictures, uint8 (count, side, side, 3), as floats from -1 to 1 of (count, 3, side, side)."""
    pixels = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2)
    return (pixels.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def to_pictures(pixels: torch.Tensor) -> np.ndarray:
    """The inverse of `to_tensor`."""
    scaled = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).cpu().numpy()


def edges(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences of neighbouring pixels across and down."""
    return pixels[..., 1:] - pixels[..., :-1], pixels[..., 1:, :] - pixels[..., :-1, :]


def reconstruction_loss(made: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the pixels and of their edges."""
    loss = F.l1_loss(made, drawn)
    for made_edge, drawn_edge in zip(edges(made), edges(drawn), strict=True):
        loss = loss + EDGE_WEIGHT * F.l1_loss(made_edge, drawn_edge)
    return loss


def drawn_batches(count: int, seed: int, side: int) -> Iterator[np.ndarray]:
    """Endless batches of fresh pictures cut to `side` pixels; nothing of the held-out part."""
    rng = random.Random(seed)
    kinds, weights = list(MIX), list(MIX.values())
    while True:
        pictures = draw_all([sample(rng, kind) for kind in rng.choices(kinds, weights, k=count)])
        x, y = rng.randint(0, SIDE - side), rng.randint(0, SIDE - side)
        yield pictures[:, y : y + side, x : x + side]


def training_step(model: AutoencoderKL, drawn: torch.Tensor) -> torch.Tensor:
    """The loss of one batch for encoder and decoder together."""
    posterior = model.encode(drawn).latent_dist
    made = model.decode(posterior.sample()).sample
    return reconstruction_loss(made, drawn) + KL_WEIGHT * posterior.kl().mean()


def decoder_step(model: AutoencoderKL, drawn: torch.Tensor) -> torch.Tensor:
    """The loss of one batch for the decoder alone: latents stay what they are."""
    with torch.no_grad():
        latents = model.encode(drawn).latent_dist.sample()
    return reconstruction_loss(model.decode(latents).sample, drawn)


@dataclass(frozen=True, slots=True)
class Fit:
    """One stage: its checkpoint's name, length, highest rate, and when whole pictures follow crops."""

    name: str
    steps: int
    rate: float
    whole_from: float
    loss: Callable[[AutoencoderKL, torch.Tensor], torch.Tensor]


def train_autoencoder(run: Path, steps: int, device: torch.device, seed: int = 0) -> AutoencoderKL:
    """Trains for `steps` of 32 crops each, from the checkpoint in `run` where there is one."""
    model = new_autoencoder().to(device)
    stage = Fit("autoencoder", steps, 2e-3, WHOLE_FROM, training_step)
    fit(model, list(model.parameters()), run, stage, seed)
    return model.eval()


def polish_decoder(model: AutoencoderKL, run: Path, steps: int, seed: int = 0) -> None:
    """Trains the decoder on, encoder untouched: a UNet trained on the latents stays valid."""
    stage = Fit("decoder", steps, 1e-3, 0.0, decoder_step)
    parts = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    fit(model, parts, run, stage, seed + 1000)


def fit(
    model: AutoencoderKL, parameters: list[nn.Parameter], run: Path, stage: Fit, seed: int
) -> None:
    """Runs a stage to its end, from its checkpoint where there is one."""
    optimizer = torch.optim.AdamW(parameters, lr=stage.rate, betas=(0.9, 0.99), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, stage.rate, total_steps=stage.steps + 1, pct_start=0.04
    )
    begin = 0
    if state := load_state(run / f"{stage.name}.pt"):
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        begin = state["step"]
    progress = Progress(stage.name)
    crops, whole = drawn_batches(32, seed + begin, CROP), drawn_batches(8, seed + begin + 1, SIDE)
    for step in range(begin, stage.steps):
        batch = next(crops if step < stage.whole_from * stage.steps else whole)
        loss = stage.loss(model, to_tensor(batch, model.device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress.step((step + 1) / stage.steps, len(batch), loss)
        if (step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == stage.steps:
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "step": step + 1,
            }
            save_whole(state, run / f"{stage.name}.pt")
            save_copies(model, run / "sheets" / f"{stage.name}_{step + 1:06d}.png")


@torch.inference_mode()
def save_copies(model: AutoencoderKL, path: Path) -> None:
    """A sheet of drawn pictures above the autoencoder's copies."""
    drawn = next(drawn_batches(12, 7, SIDE))
    copies = to_pictures(model(to_tensor(drawn, model.device), sample_posterior=False).sample)
    save_sheet(np.concatenate([drawn, copies]), path, 12)
