"""The denoiser: a small conditional UNet and the text model, trained together on latents.

v-prediction (Salimans and Ho 2022, arXiv:2202.00512) on a cosine schedule, weights after min-SNR
(Hang et al. 2023, arXiv:2303.09556), an exponential average of the model.
"""

import json
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from training.scenes.bank import Bank
from training.scenes.export import export, new_scheduler
from training.scenes.progress import Progress, load_state, save_whole
from training.scenes.reading import Reader
from training.scenes.samples import save_samples
from training.scenes.text import WIDTH, known_words, new_text_encoder, tokens

WIDTHS = (32, 64, 96)
MIN_SNR_GAMMA = 5.0
READING_WEIGHT = 0.02  # keeps the facts at their places while the denoiser pulls at the text model
NOISIER = 0.6  # times are drawn as u ** 0.6 of the schedule, u uniform
DECAY_SHARE = 0.3  # the learning rate falls to zero over the last part


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how to train; sizes in pictures and steps."""

    steps: int
    minutes: float = math.inf  # of this run, its last part included; whichever comes first ends it
    batch: int = 32
    learning_rate: float = 1e-3
    bank: int = 8_000
    bank_growth: int = 1_000  # fresh pictures at each checkpoint
    checkpoint_steps: int = 500
    ema_decay: float = 0.998
    seed: int = 0
    sheets: bool = True


def new_unet() -> UNet2DConditionModel:
    """A UNet over 16 x 16 latents with attention to the words at 8 x 8 and 4 x 4."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # by diffusers' naming this is the number of heads
        norm_num_groups=16,
    ).to(memory_format=torch.channels_last)


class Denoiser(nn.Module):
    """The two parts that learn together: `text_encoder` and `unet`."""

    def __init__(self, text_encoder: CLIPTextModel, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.text_encoder, self.unet = text_encoder, unet


def denoising_loss(
    unet: UNet2DConditionModel, latents: torch.Tensor, states: torch.Tensor, alphas: torch.Tensor
) -> torch.Tensor:
    """The squared error of the predicted velocity at random times, weighted by min(SNR + 1, gamma).

    Noisier times are drawn more often: what stands where is decided in them. Plain min-SNR all but ignores the noisiest times, in which a prompt decides what appears; with 1
    added they count like the others.
    """
    drawn = torch.rand(len(latents), device=latents.device) ** NOISIER
    time = (drawn * len(alphas)).long().clamp(max=len(alphas) - 1)
    noise = torch.randn_like(latents)
    kept = alphas[time].view(-1, 1, 1, 1)
    noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    velocity = kept.sqrt() * noise - (1 - kept).sqrt() * latents
    made = unet(noisy.contiguous(memory_format=torch.channels_last), time, states).sample
    signal = alphas[time] / (1 - alphas[time])
    weight = (signal + 1).clamp(max=MIN_SNR_GAMMA) / (signal + 1)
    return (weight * F.mse_loss(made, velocity, reduction="none").mean((1, 2, 3))).mean()


def rate_at(step: int, share: float) -> float:
    """Part of the full learning rate: a short rise, a plateau, a fall over the last part.

    `share` of the training is done, from 0 to 1.
    """
    return min(1.0, (step + 1) / 200, max((1 - share) / DECAY_SHARE, 0.0))


class Trainer:
    """Holds what a checkpoint holds: model, average, optimizer, step and scaling factor."""

    def __init__(
        self, run: Path, autoencoder: AutoencoderKL, tokenizer: CLIPTokenizer, plan: Plan
    ) -> None:
        self.run, self.autoencoder, self.tokenizer, self.plan = run, autoencoder, tokenizer, plan
        self.device = autoencoder.device
        self.model = Denoiser(new_text_encoder(tokenizer), new_unet()).to(self.device)
        self.average = Denoiser(new_text_encoder(tokenizer), new_unet()).to(self.device).eval()
        self.average.load_state_dict(self.model.state_dict())
        self.reader = Reader().to(self.device)
        self.parameters = [*self.model.parameters(), *self.reader.parameters()]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=plan.learning_rate, betas=(0.9, 0.99), fused=True
        )
        self.step = 0
        self.scaling_factor: float | None = None
        self.alphas = new_scheduler().alphas_cumprod.to(self.device)

    def start_from(self, text_encoder: CLIPTextModel, unet: UNet2DConditionModel) -> None:
        """Takes over finished weights, for the average too."""
        for model in (self.model, self.average):
            model.text_encoder.load_state_dict(text_encoder.state_dict())
            model.unet.load_state_dict(unet.state_dict())

    def resume(self) -> bool:
        """Takes over the run's checkpoint where there is one."""
        state = load_state(self.run / "diffusion.pt")
        if state is None:
            return False
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.reader.load_state_dict(state["reader"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.scaling_factor = state["step"], state["scaling_factor"]
        return True

    def keep(self) -> None:
        """Saves the checkpoint."""
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "reader": self.reader.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "scaling_factor": self.scaling_factor,
        }
        save_whole(state, self.run / "diffusion.pt")

    def export(self, folder: Path) -> None:
        """Writes the averaged weights as a diffusers folder."""
        self.autoencoder.register_to_config(scaling_factor=self.scaling_factor)
        average = self.average
        export(self.autoencoder, average.text_encoder, self.tokenizer, average.unet, folder)
        words = json.dumps(known_words(), ensure_ascii=False, indent=0)
        (folder / "words.json").write_text(words + "\n")

    def learn(
        self, latents: torch.Tensor, texts: list[str], answers: torch.Tensor, share: float
    ) -> torch.Tensor:
        """One step on a `Bank.batch`, `share` of all done; returns the denoiser's loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * rate_at(self.step, share)
        ids = tokens(self.tokenizer, texts, self.device)
        states = self.model.text_encoder(ids)[0]
        loss = denoising_loss(self.model.unet, latents * self.scaling_factor, states, self.alphas)
        reading, _ = self.reader(states, answers.to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        (loss + READING_WEIGHT * reading).backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        decay = min(self.plan.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.model.parameters()), 1 - decay
            )
        self.step += 1
        return loss

    def train(self, folder: Path) -> None:
        """Trains to the plan's end; at each checkpoint saves, exports to `folder` and samples."""
        plan, rng = self.plan, random.Random(self.plan.seed + self.step)
        torch.manual_seed(plan.seed + self.step)
        bank = Bank(self.autoencoder, plan.seed + self.step)
        bank.extend(plan.bank)
        if self.scaling_factor is None:
            self.scaling_factor = round(1 / bank.latent_std(), 4)
        print(f"{len(bank)} pictures, scaling factor {self.scaling_factor}", flush=True)
        progress = Progress("diffusion", every_s=60)
        begun, share = time.monotonic(), self.step / plan.steps
        while share < 1:
            loss = self.learn(*bank.batch(plan.batch, rng), share)
            if not math.isfinite(loss.item()):
                raise FloatingPointError("the loss is not a number: lower --learning-rate")
            share = max(self.step / plan.steps, (time.monotonic() - begun) / 60 / plan.minutes)
            progress.step(share, plan.batch, loss)
            if self.step % plan.checkpoint_steps == 0 or share >= 1:
                self.keep()
                self.export(folder)
                if plan.sheets:
                    save_samples(folder, self.run / "sheets" / f"samples_{self.step:06d}.png")
                if share < 1:
                    bank.extend(plan.bank_growth)
