"""Drawn pictures as latents in memory, so that the UNet's training never waits for drawing."""

import random

import torch
from diffusers import AutoencoderKL

from training.scenes.autoencoder import to_tensor
from training.scenes.captions import LANGUAGES, caption
from training.scenes.drawing import draw_all
from training.scenes.reading import CHOICES, UNNAMED, facts
from training.scenes.world import Picture, sample

MIX = {"single": 0.2, "pair": 0.5, "scene": 0.3}  # pairs are learned last and need most
EMPTY_SHARE = 0.1  # empty captions, for classifier-free guidance
ENCODED_AT_ONCE = 64


class Bank:
    """Pictures of the trained part with their latents (before scaling), by kind."""

    def __init__(self, autoencoder: AutoencoderKL, seed: int) -> None:
        self._autoencoder, self._rng = autoencoder, random.Random(seed)
        self._pictures: dict[str, list[Picture]] = {kind: [] for kind in MIX}
        self._latents: dict[str, torch.Tensor] = {}

    def __len__(self) -> int:
        return sum(len(pictures) for pictures in self._pictures.values())

    @torch.inference_mode()
    def extend(self, count: int) -> None:
        """Draws and encodes about `count` more pictures in the shares of `MIX`."""
        device = self._autoencoder.device
        for kind, share in MIX.items():
            pictures = [sample(self._rng, kind) for _ in range(round(count * share))]
            parts = [self._latents[kind]] if kind in self._latents else []
            for begin in range(0, len(pictures), ENCODED_AT_ONCE):
                drawn = to_tensor(draw_all(pictures[begin : begin + ENCODED_AT_ONCE]), device)
                parts.append(self._autoencoder.encode(drawn).latent_dist.mean.contiguous())
            self._pictures[kind] += pictures
            self._latents[kind] = torch.cat(parts)

    def latent_std(self) -> float:
        """The spread of all latents: 1 / `scaling_factor`."""
        return torch.cat([latents.flatten() for latents in self._latents.values()]).std().item()

    def batch(self, count: int, rng: random.Random) -> tuple[torch.Tensor, list[str], torch.Tensor]:
        """Latents (count, 4, 16, 16), a fresh caption each, a tenth of them empty, and its facts."""
        rows, texts, answers = [], [], []
        for kind in rng.choices(list(MIX), list(MIX.values()), k=count):
            index = rng.randrange(len(self._pictures[kind]))
            rows.append(self._latents[kind][index])
            picture = self._pictures[kind][index]
            named = caption(picture, rng, rng.choice(LANGUAGES))
            empty = rng.random() < EMPTY_SHARE
            texts.append("" if empty else named.text)
            answers.append([UNNAMED] * len(CHOICES) if empty else facts(picture, named))
        return torch.stack(rows), texts, torch.tensor(answers)
