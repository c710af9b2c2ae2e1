"""Trains the autoencoder: 256 px to 8 x 8 x 96 and back, by diffusers' AutoencoderDC.

Its norms look at one pixel, so that a thing's latents and pixels depend on nothing but the cells
around it; crops of 128 px teach what whole scenes need. Noise on the latents, of a random strength,
makes the decoder forgive what the diffusion leaves.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderDC

from training.scenes.drawing import Painter, background_pixels, read_icons
from training.scenes.optimiser import new_optimiser
from training.scenes.parallel import PARTS, Pair
from training.scenes.progress import Progress, load_state, rate_share, save_whole
from training.scenes.sampling import any_background, sample
from training.scenes.things import all_things
from training.scenes.world import CELL, SHAPES, SIDE, SIZES, Scene, colours_of

LATENT_CHANNELS = 96
CROP = 128
CHECKPOINT = "autoencoder.pt"
NOISE = 0.15  # the strongest noise on the latents, in their spreads
GRADIENT_WEIGHT, SQUARE_WEIGHT, SIZE_WEIGHT = 0.5, 4.0, 1e-3
CROP_SHARES = {"small": 0.5, "medium": 0.28, "large": 0.22}
FIRST_SHARE, FIRST = 0.85, 80  # the first things are seen more often than the later ones


@dataclass(frozen=True, slots=True)
class Shape:
    """The widths and depths of the autoencoder, finest level first; the finest has no layers."""

    encoder: tuple[int, ...] = (24, 24, 48, 48, 96, 96)
    decoder: tuple[int, ...] = (24, 24, 48, 96, 96, 192)
    encoder_layers: tuple[int, ...] = (0, 1, 1, 1, 1, 1)
    decoder_layers: tuple[int, ...] = (0, 1, 2, 2, 2, 3)
    latent_channels: int = LATENT_CHANNELS


@dataclass(frozen=True, slots=True)
class Plan:
    """How the autoencoder is trained; the learning rate falls to 0 over the last `decay` steps."""

    steps: int = 20_000
    decay: int = 2_000
    batch: int = 32
    learning_rate: float = 0.02
    adam_rate: float = 2e-3
    checkpoint_steps: int = 100
    judge_steps: int = 500
    standardise_at: tuple[int, ...] = (300,)
    standardise_end: bool = True  # the last step's weights are then not those of a longer run
    decoder_only: bool = (
        False  # the latents stay as they are, and so what the diffusion has learned
    )
    seed: int = 0
    workers: int = 2
    bfloat16: bool = False


def new_autoencoder(shape: Shape | None = None) -> AutoencoderDC:
    """A fresh autoencoder of 32 px a cell.

    The shortcuts around its innermost convolutions are weights of those here, so that `standardise`
    can scale each channel of the latents.
    """
    shape = shape or Shape()
    none = ((),) * len(shape.encoder)
    model = AutoencoderDC(
        latent_channels=shape.latent_channels,
        encoder_block_out_channels=shape.encoder,
        decoder_block_out_channels=shape.decoder,
        encoder_layers_per_block=shape.encoder_layers,
        decoder_layers_per_block=shape.decoder_layers,
        encoder_qkv_multiscales=none,
        decoder_qkv_multiscales=none,
        encoder_out_shortcut=False,
        decoder_in_shortcut=False,
    )
    with torch.no_grad():
        for convolution in (model.encoder.conv_out, model.decoder.conv_in):
            rows, columns = convolution.weight.shape[:2]
            for row in range(max(rows, columns)):
                at = row * rows // max(rows, columns), row * columns // max(rows, columns)
                convolution.weight[(*at, 1, 1)] += min(1, rows / columns)
    return model.to(memory_format=torch.channels_last)


@torch.no_grad()
def standardise(model: AutoencoderDC, painter: Painter, keys: tuple[str, ...]) -> None:
    """Gives every channel of the latents mean 0 and spread 1 over scenes, as diffusion wants it.

    Pictures stay as they were but at the edges, where the decoder sees padding: under 0.001 dB.
    """
    rng = random.Random("standardise")
    latents = [model.encode(as_input([painter.draw(sample(rng, keys))])).latent for _ in range(96)]
    whole = torch.cat(latents)
    mean, spread = whole.mean((0, 2, 3)), whole.std((0, 2, 3))
    last, first = model.encoder.conv_out, model.decoder.conv_in
    last.weight.div_(spread[:, None, None, None])
    last.bias.sub_(mean).div_(spread)
    first.bias.add_((first.weight.sum((2, 3)) * mean).sum(1))
    first.weight.mul_(spread[None, :, None, None])


def _variant(rng: random.Random, keys: tuple[str, ...]) -> tuple[str, str | None]:
    kind = rng.random()
    if kind < 0.08:
        key = rng.choice(SHAPES)
    else:
        key = rng.choice(keys[:FIRST] if rng.random() < FIRST_SHARE else keys)
    colours = colours_of(key)
    if colours[0] is None and rng.random() < 0.5:
        return key, None
    return key, rng.choice(colours)


def crop(painter: Painter, rng: random.Random, keys: tuple[str, ...]) -> np.ndarray:
    """A crop of 128 px full of things, small ones most, float32 (128, 128, 3)."""
    cells = (SIDE - CROP) // CELL
    x, y = rng.randint(0, cells) * CELL, rng.randint(0, cells) * CELL
    canvas = background_pixels(any_background(rng))[y : y + CROP, x : x + CROP].copy()
    size = rng.choices(list(CROP_SHARES), list(CROP_SHARES.values()))[0]
    if size == "small":
        left, top = (rng.choice((-CELL, 0, 0)) for _ in range(2))
        for row in range(top, CROP, SIZES["small"]):
            for column in range(left, CROP, SIZES["small"]):
                if rng.random() < 0.75:
                    painter.paste(canvas, painter.sprite(*_variant(rng, keys), 64), column, row)
        return canvas
    side = SIZES[size]
    reach = (-2, 2) if size == "medium" else (-4, 2)
    column, row = (rng.randint(*reach) * CELL for _ in range(2))
    painter.paste(canvas, painter.sprite(*_variant(rng, keys), side), column, row)
    if size == "medium" and column:
        beside = column + side if column < 0 else column - side
        painter.paste(canvas, painter.sprite(*_variant(rng, keys), side), beside, row)
    return canvas


def as_input(pictures: list[np.ndarray]) -> torch.Tensor:
    """Pictures of floats from 0 to 1 as a tensor from -1 to 1, channels_last."""
    whole = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) * 2 - 1
    return whole.contiguous(memory_format=torch.channels_last)


def loss_of(output: torch.Tensor, pictures: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """L1, half an L1 of both gradients, the square, and a little on the size of the latents."""
    error = output - pictures
    across, down = error.diff(dim=3).abs().mean(), error.diff(dim=2).abs().mean()
    pixels = error.abs().mean() + SQUARE_WEIGHT * error.square().mean()
    return pixels + GRADIENT_WEIGHT * (across + down) + SIZE_WEIGHT * latents.square().mean()


def with_noise(latents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Latents with noise of a strength of its own for each picture."""
    strength = torch.rand(len(latents), 1, 1, 1, generator=generator) * NOISE
    noise = torch.randn(latents.shape, generator=generator)
    return latents + strength * latents.detach().std() * noise


def psnr(error: torch.Tensor) -> float:
    """Decibels of an error in pictures from -1 to 1."""
    return float(10 * torch.log10(4 / error.square().mean()))


@torch.inference_mode()
def quality(model: AutoencoderDC, painter: Painter, keys: tuple[str, ...]) -> tuple[float, float]:
    """PSNR on 32 whole scenes, and in the boxes of 32 small things of others."""
    rng = random.Random("quality")
    whole, small = [], []
    scenes: list[Scene] = [sample(rng, keys) for _ in range(32)]
    for scene in scenes:
        picture = as_input([painter.draw(scene)])
        whole.append(model.decode(model.encode(picture).latent).sample.clamp(-1, 1) - picture)
    while len(small) < 32:
        scene = sample(rng, keys, rng.choice(("one", "two")))
        if not any(item.size == "small" for item in scene.items):
            continue
        picture = as_input([painter.draw(scene)])
        error = model.decode(model.encode(picture).latent).sample.clamp(-1, 1) - picture
        for item in scene.items:
            if item.size == "small":
                left, top, right, bottom = item.box
                small.append(error[:, :, top:bottom, left:right])
    return psnr(torch.cat(whole)), psnr(torch.cat(small))


class Crops:
    """What `Pair` computes: the loss on a part of a step's crops."""

    def __init__(self, data: Path, plan: Plan) -> None:
        self._data, self._plan = data, plan
        self._painter: Painter | None = None
        self._keys = tuple(all_things())

    def loss(self, model: AutoencoderDC, step: int, part: int) -> torch.Tensor:
        """Draws crops by the step's seed, and reconstructs them through noise."""
        self._painter = self._painter or Painter(read_icons(self._data))
        rng = random.Random(f"{self._plan.seed}/autoencoder/{step}/{part}")
        generator = torch.Generator().manual_seed(rng.randrange(2**62))
        count = self._plan.batch // PARTS
        pictures = as_input([crop(self._painter, rng, self._keys) for _ in range(count)])
        with torch.autocast("cpu", torch.bfloat16, enabled=self._plan.bfloat16):
            with torch.set_grad_enabled(not self._plan.decoder_only):
                latents = model.encode(pictures).latent.float()
            output = model.decode(with_noise(latents, generator)).sample.float()
        return loss_of(output, pictures, latents)


def train_autoencoder(data: Path, run: Path, plan: Plan, shape: Shape | None = None) -> None:
    """Trains on from the run's checkpoint, or from nothing; every step has its own seed."""
    torch.manual_seed(plan.seed)
    model = new_autoencoder(shape)
    optimiser = new_optimiser(model, plan.learning_rate, plan.adam_rate)
    model.encoder.requires_grad_(not plan.decoder_only)
    begin = warm_from = 0
    if state := load_state(run / CHECKPOINT):
        model.load_state_dict(state["model"])
        begin = warm_from = state["step"]
        if state["optimiser"]:
            optimiser.load_state_dict(state["optimiser"])
            warm_from = state.get("warm_from", 0)
    progress, pair = Progress("autoencoder"), Pair(Crops(data, plan), model, plan.workers)
    for step in range(begin, plan.steps):
        if step in plan.standardise_at and not plan.decoder_only:
            standardise(model, Painter(read_icons(data)), tuple(all_things())[:FIRST])
        optimiser.set_share(rate_share(step, plan.steps, plan.decay, warm_from))
        loss = pair.gradients(step)
        pair.step(optimiser)
        progress.step(step + 1, plan.batch, loss)
        last = step + 1 == plan.steps
        if last and plan.standardise_end and not plan.decoder_only:
            standardise(model, Painter(read_icons(data)), tuple(all_things())[:FIRST])
        if last or (step + 1) % plan.checkpoint_steps == 0:
            states = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
            states |= {"step": step + 1, "warm_from": warm_from}
            save_whole(states, run / CHECKPOINT)
        if last or (step + 1) % plan.judge_steps == 0:
            keys = tuple(all_things())[:FIRST]
            whole, small = quality(model, Painter(read_icons(data)), keys)
            print(f"step {step + 1}: {whole:.2f} dB whole, {small:.2f} dB small", flush=True)
    pair.close()


def load_autoencoder(run: Path, shape: Shape | None = None) -> AutoencoderDC:
    """The run's autoencoder, ready for use."""
    state = load_state(run / CHECKPOINT)
    if state is None:
        raise FileNotFoundError(f"no {CHECKPOINT} in {run}: train the autoencoder first")
    model = new_autoencoder(shape)
    model.load_state_dict(state["model"])
    return model.eval().requires_grad_(False)


__all__ = ["Plan", "Shape", "load_autoencoder", "new_autoencoder"]
