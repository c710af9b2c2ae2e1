"""Trains the UNet and the text model together on the bank's latents by flow matching.

The UNet says the latents without noise (`sample` in diffusers' schedulers), not noise - latents: with 96
channels of latents and 128 of its own it would spend most of its width on carrying noise (Li and He,
"Back to Basics: Let Denoising Generative Models Denoise", 2025, https://arxiv.org/abs/2511.13720).
"""

import copy
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from transformers import CLIPTokenizer

from training.scenes.autoencoder import LATENT_CHANNELS
from training.scenes.bank import Bank
from training.scenes.captions import LANGUAGES, Lexicon, caption, read_lexicon, with_idle_word
from training.scenes.optimiser import new_optimiser
from training.scenes.parallel import PARTS, Pair
from training.scenes.progress import Progress, load_state, rate_share, save_whole
from training.scenes.reading import Reader, reading_batch, reading_loss, teach_head, teach_reading
from training.scenes.text import WIDTH, encoder_for, tokenizer_of, tokens
from training.scenes.things import first_keys
from training.scenes.world import CELL, CELLS, Scene

CHECKPOINT = "diffusion.pt"
EMPTY_SHARE = 0.1  # empty captions, for classifier-free guidance
TIME_MEAN, TIME_SPREAD = (
    1.0,
    1.2,
)  # of the logit of a step's share of noise: most is learned where little is seen
LEAST_TIME = (
    0.4  # an error counts as that of the velocity, error / time, but no more than at this time
)
IDLE_SHARE = 0.06  # captions with a word that changes nothing
EARLY_PAIR_SHARE, PAIR_SHARE = 0.1, 0.5  # of pictures with two things, which are learned last
THING_WEIGHT = 3.0  # of a cell with a thing in it against one of the background
TEXT_RATE = 0.5  # the text model learns more slowly than the UNet: it can read already
READING_COUNT, READING_WEIGHT = 16, 0.25  # captions a part that are only read, beside the drawing


@dataclass(frozen=True, slots=True)
class Plan:
    """How the diffusion is trained; `things` is how many of the things are drawn."""

    steps: int = 20_000
    decay: int = 2_000
    batch: int = 48
    learning_rate: float = 0.02
    adam_rate: float = 2e-3
    ema: float = 0.998
    checkpoint_steps: int = 100
    reading_steps: int = 1200
    pairs_from: int = 1500
    things: int = 120
    seed: int = 0
    workers: int = 2
    bfloat16: bool = False


class Drawer(nn.Module):
    """The text model and the UNet, trained as one, and the head that tells whether the text is read."""

    def __init__(self, reader: Reader, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.text_encoder = reader.text_encoder
        self.unet = unet
        self.head = reader.head

    def load(self, weights: dict[str, torch.Tensor]) -> bool:
        """Takes a run's weights; whether the head was among them, which a resumed run has not yet."""
        head = {f"head.{name}": value for name, value in self.head.state_dict().items()}
        self.load_state_dict(head | weights)
        return head.keys() <= weights.keys()

    def forward(self, noisy: torch.Tensor, times: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """The latents without noise, from noisy ones (count, 96, 8, 8) at times from 0 to 1000."""
        words = self.text_encoder(ids)[0]
        return self.unet(noisy, times, encoder_hidden_states=words).sample


def new_unet(
    channels: tuple[int, ...] = (128, 128), latents: int = LATENT_CHANNELS
) -> UNet2DConditionModel:
    """A fresh UNet for latents of 8 x 8."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=latents,
        out_channels=latents,
        down_block_types=("CrossAttnDownBlock2D",) * len(channels),
        up_block_types=("CrossAttnUpBlock2D",) * len(channels),
        mid_block_type="UNetMidBlock2D",
        block_out_channels=channels,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=channels[0] // 32,
    ).to(memory_format=torch.channels_last)


def cell_weights(scene: Scene) -> torch.Tensor:
    """How much each cell counts, (8, 8): most of a picture is background, which is soon known."""
    weights = torch.ones(CELLS, CELLS)
    for item in scene.items:
        left, top, right, bottom = (edge // CELL for edge in item.box)
        weights[top:bottom, left:right] = THING_WEIGHT
    return weights


class Latents:
    """What `Pair` computes: the loss on a part of a step's batch."""

    def __init__(self, run: Path, lexicon: Lexicon, tokenizer: CLIPTokenizer, plan: Plan) -> None:
        self._run, self._lexicon, self._tokenizer, self._plan = run, lexicon, tokenizer, plan
        self._bank: Bank | None = None

    def loss(self, model: Drawer, step: int, part: int) -> torch.Tensor:
        """The mean square of the error, weighted by time and by what a cell shows."""
        self._bank = self._bank or Bank(self._run)
        if step % 50 == 0:
            self._bank.extend()
        rng = random.Random(f"{self._plan.seed}/diffusion/{step}/{part}")
        generator = torch.Generator().manual_seed(rng.randrange(2**62))
        rows, texts, weights = [], [], []
        for _ in range(self._plan.batch // PARTS):
            share = PAIR_SHARE if step >= self._plan.pairs_from else EARLY_PAIR_SHARE
            rows_of_kind = self._bank.pairs if rng.random() < share else self._bank.others
            row, scene = self._bank.row(rng.choice(rows_of_kind))
            weights.append(cell_weights(scene))
            language = rng.choice(LANGUAGES)
            text = caption(scene, rng, language, self._lexicon)
            if rng.random() < IDLE_SHARE:
                text = with_idle_word(text, rng, language)
            rows.append(row)
            texts.append("" if rng.random() < EMPTY_SHARE else text)
        latents = torch.stack(rows) / self._bank.std()
        latents = latents.contiguous(memory_format=torch.channels_last)
        logits = torch.randn(len(rows), generator=generator) * TIME_SPREAD + TIME_MEAN
        times = logits.sigmoid()
        noise = torch.randn(latents.shape, generator=generator)
        at = times[:, None, None, None]
        noisy = latents * (1 - at) + noise * at
        ids = tokens(self._tokenizer, texts)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._plan.bfloat16):
            output = model(noisy, times * 1000, ids)
        error = ((output.float() - latents) / at.clamp(min=LEAST_TIME)).square().mean(dim=1)
        weight = torch.stack(weights)
        drawing = (error * weight).sum() / weight.sum()
        return drawing + READING_WEIGHT * self._reading(model, rng)

    def _reading(self, model: Drawer, rng: random.Random) -> torch.Tensor:
        """The loss of reading other captions: drawing alone lets go which thing stands where."""
        keys = first_keys(self._plan.things)
        texts, labels = reading_batch(READING_COUNT, rng, keys, self._lexicon)
        words = model.text_encoder(tokens(self._tokenizer, texts, short=True))[0]
        return reading_loss(model.head(words), labels)


class Average:
    """The weights' moving average, which is what draws."""

    def __init__(self, model: nn.Module, rate: float) -> None:
        self.model, self._rate = copy.deepcopy(model).requires_grad_(False), rate

    @torch.no_grad()
    def follow(self, model: nn.Module, step: int) -> None:
        """Moves towards the model; faster in the beginning."""
        rate = min(self._rate, (step + 1) / (step + 10))
        for mean, value in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(value, 1 - rate)


def train_diffusion(data: Path, run: Path, plan: Plan) -> None:
    """Trains on from the run's checkpoint, or from nothing after a course of reading."""
    torch.manual_seed(plan.seed)
    lexicon = read_lexicon(data)
    tokenizer = tokenizer_of(run, lexicon)
    state, keys = load_state(run / CHECKPOINT), first_keys(plan.things)
    torch.set_num_threads(1)
    reader = Reader(encoder_for(tokenizer))
    if not state:
        teach_reading(reader, run, tokenizer, lexicon, keys, plan.reading_steps)
    model = Drawer(reader, new_unet())
    if state and not model.load(state["model"]):
        teach_head(reader, tokenizer, lexicon, keys)
    average = Average(model, plan.ema)
    optimiser = new_optimiser(model, plan.learning_rate, plan.adam_rate)
    optimiser.slow_down(model.text_encoder, TEXT_RATE)
    begin = warm_from = 0
    if state:
        average.model.load(state["average"])
        begin = warm_from = state["step"]
        if state["optimiser"]:
            optimiser.load_state_dict(state["optimiser"])
            warm_from = state.get("warm_from", 0)
    progress, pair = (
        Progress("diffusion"),
        Pair(Latents(run, lexicon, tokenizer, plan), model, plan.workers),
    )
    for step in range(begin, plan.steps):
        optimiser.set_share(rate_share(step, plan.steps, plan.decay, warm_from))
        loss = pair.gradients(step)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        pair.step(optimiser)
        average.follow(model, step)
        progress.step(step + 1, plan.batch, loss)
        if (step + 1) % plan.checkpoint_steps == 0 or step + 1 == plan.steps:
            states = {"model": model.state_dict(), "average": average.model.state_dict()}
            states |= {"optimiser": optimiser.state_dict(), "step": step + 1}
            states["warm_from"] = warm_from
            save_whole(states, run / CHECKPOINT)
    pair.close()


def load_drawer(run: Path) -> tuple[Drawer, CLIPTokenizer, int]:
    """The run's averaged weights, its tokenizer and how many steps it has seen."""
    state = load_state(run / CHECKPOINT)
    if state is None:
        raise FileNotFoundError(f"no {CHECKPOINT} in {run}: train the diffusion first")
    tokenizer = tokenizer_of(run, Lexicon())
    model = Drawer(Reader(encoder_for(tokenizer)), new_unet())
    model.load(state["average"])
    return model.eval().requires_grad_(False), tokenizer, state["step"]
