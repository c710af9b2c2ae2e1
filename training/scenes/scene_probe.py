"""A small classifier that reads scenes back: place, time of day, and what is in the sky.

It learns on drawn pictures alone, slightly blurred and noisy so that a soft edge does not mislead it.
"""

import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from training.scenes.drawing import draw_all
from training.scenes.world import KINDS, OBJECTS, TIMES, Scene, scene

PARTS = (len(KINDS), len(TIMES), len(OBJECTS))
LEARN_STEPS = 300
BATCH = 64


class SceneProbe(nn.Module):
    """Four strided convolutions and one linear layer over what is left of the picture."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 24), (24, 48), (48, 64), (64, 64)):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 4 * 4, sum(PARTS)))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Scores for place, time and objects of pictures (count, 3, 64, 64) from 0 to 1."""
        return self.layers(pictures * 2 - 1).split(PARTS, dim=1)


def to_floats(pictures: np.ndarray) -> torch.Tensor:
    """Pictures, uint8 (count, side, side, 3), as floats from 0 to 1, channels first."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def targets(scenes: list[Scene]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Index of the place, index of the time, and one 0/1 for each object."""
    kinds = torch.tensor([KINDS.index(one.kind) for one in scenes])
    times = torch.tensor([TIMES.index(one.time) for one in scenes])
    objects = torch.tensor([[float(name in one.objects) for name in OBJECTS] for one in scenes])
    return kinds, times, objects


def roughened(pictures: torch.Tensor) -> torch.Tensor:
    """The pictures with a random share of blur and a little noise."""
    share = torch.rand(len(pictures), 1, 1, 1) * 0.8
    mixed = pictures * (1 - share) + F.avg_pool2d(pictures, 3, 1, 1) * share
    return (mixed + torch.randn_like(mixed) * 0.02).clamp(0, 1)


def learned_probe(steps: int = LEARN_STEPS, seed: int = 1) -> SceneProbe:
    """A probe trained on fresh drawings (about a minute on one core)."""
    rng = random.Random(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        probe = SceneProbe()
        optimizer = torch.optim.AdamW(probe.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
        for _ in range(steps):
            scenes = [scene(rng) for _ in range(BATCH)]
            place, time, things = probe(roughened(to_floats(draw_all(scenes))))
            kinds, times, objects = targets(scenes)
            loss = F.cross_entropy(place, kinds) + F.cross_entropy(time, times)
            loss = loss + 4 * F.binary_cross_entropy_with_logits(things, objects)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return probe.eval()


@torch.inference_mode()
def judge(
    probe: SceneProbe, pictures: np.ndarray, scenes: list[Scene]
) -> list[dict[str, list[bool]]]:
    """For each picture: is the place right, the time, and each object that the scene names?"""
    place, time, things = probe(to_floats(pictures))
    kinds, times, _ = targets(scenes)
    verdicts = []
    for index, asked in enumerate(scenes):
        seen = [bool(things[index, OBJECTS.index(name)] > 0) for name in asked.objects]
        verdicts.append(
            {
                "place": [bool(place[index].argmax() == kinds[index])],
                "time": [bool(time[index].argmax() == times[index])],
                "objects": seen,
            }
        )
    return verdicts
