"""The training loop that both languages share: soft targets, length-sorted batches, averaging."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

Encode = Callable[[Sequence[str]], list[list[int]]]


def fast_bf16() -> bool:
    """Say whether this CPU has bf16 products in hardware; without them they are far slower."""
    return torch.cpu._is_avx512_bf16_supported()


def batches(lengths: Sequence[int], size: int, rng: random.Random) -> list[list[int]]:
    """Return index batches of like lengths in random order, so that little is padding."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    groups = []
    for start in range(0, len(order), size * 64):
        part = sorted(order[start : start + size * 64], key=lambda i: lengths[i])
        groups += [part[i : i + size] for i in range(0, len(part), size)]
    rng.shuffle(groups)
    return groups


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and attention mask, both of shape (rows, longest row)."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return ids, mask


class Average:
    """An exponential moving average of a model's trained weights."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = model
        self.kept = {n: p.detach().clone() for n, p in self._trained()}

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        return ((n, p) for n, p in self.model.named_parameters() if p.requires_grad)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average toward the current weights (quicker in the first steps)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self._trained():
            self.kept[name].lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the average into the model."""
        for name, parameter in self._trained():
            parameter.copy_(self.kept[name])


class Progress:
    """Prints the mean loss and the time left, every twenty seconds and at the end."""

    def __init__(self, title: str, steps: int) -> None:
        self.title = title
        self.steps = steps
        self.began = self.said = time.monotonic()
        self.recent: list[float] = []

    def show(self, number: int, loss: float) -> None:
        """Note the loss of step `number`, counted from 1."""
        self.recent.append(loss)
        if time.monotonic() - self.said < 20 and number < self.steps:
            return
        self.said = time.monotonic()
        left = (self.said - self.began) / number * (self.steps - number) / 60
        mean = sum(self.recent) / len(self.recent)
        print(f"{self.title} {number}/{self.steps} loss {mean:.4f} {left:.1f} min left", flush=True)
        self.recent.clear()


def train(
    model: nn.Module,
    steps: Sequence[Any],
    loss: Callable[[Any], torch.Tensor],
    rates: tuple[float, float],
    average: float = 0.0,
    title: str = "",
) -> None:
    """Run AdamW with a warm-up of 6 % and a linear fall over `steps`; print the time left.

    Args:
        model: Trained in place; only its parameters that require a gradient move.
        steps: What each step gets, in order.
        loss: Turns one of the steps into a scalar.
        rates: Highest learning rate, and weight decay.
        average: Decay of the moving average that replaces the weights in the end; 0: none.
        title: Word for the progress lines.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=rates[0], weight_decay=rates[1], fused=True)
    warm = max(1, int(len(steps) * 0.06))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / warm, (len(steps) - s) / max(1, len(steps) - warm))
    )
    kept, progress = Average(model, average) if average else None, Progress(title, len(steps))
    model.train()
    for number, step in enumerate(steps, 1):
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_bf16()):
            value = loss(step)
        value.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        if kept:
            kept.update(number)
        progress.show(number, float(value.detach()))
    if kept:
        kept.apply()
    model.eval()


def soft_cross_entropy(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of (n, 2) logits against probabilities of class 1, (n,)."""
    log_p = torch.log_softmax(logits.float(), dim=1)
    return -((1 - positive) * log_p[:, 0] + positive * log_p[:, 1]).mean()


@torch.inference_mode()
def predict(
    model: nn.Module, rows: Sequence[Sequence[int]], pad: int, size: int = 64
) -> np.ndarray:
    """Return the logits of tokenised rows, shape (n, 2), in the order given."""
    model.eval()
    out = np.zeros((len(rows), 2), dtype=np.float64)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for b in range(math.ceil(len(order) / size)):
        which = order[b * size : (b + 1) * size]
        ids, mask = padded([rows[i] for i in which], pad)
        out[which] = model(input_ids=ids, attention_mask=mask).logits.float().numpy()
    return out
