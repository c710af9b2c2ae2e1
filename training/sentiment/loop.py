"""The training loop that both languages share: soft targets, batches by length, averaging."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from models.text.language import batches_by_length

Encode = Callable[[Sequence[str]], list[list[int]]]


def fast_bf16() -> bool:
    """Say whether this CPU has bf16 products in hardware; without them they are far slower."""
    return torch.cpu._is_avx512_bf16_supported()


def random_batches(lengths: Sequence[int], size: int, rng: random.Random) -> list[list[int]]:
    """Return index batches of similar lengths in random order, so that little is padding."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    groups = []
    for start in range(0, len(order), size * 64):
        part = sorted(order[start : start + size * 64], key=lambda i: lengths[i])
        groups += [part[i : i + size] for i in range(0, len(part), size)]
    rng.shuffle(groups)
    return groups


def pad_rows(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
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
        self.means = {n: p.detach().clone() for n, p in self._trainable()}

    def _trainable(self) -> Iterator[tuple[str, nn.Parameter]]:
        return ((n, p) for n, p in self.model.named_parameters() if p.requires_grad)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average toward the current weights (quicker in the first steps)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self._trainable():
            self.means[name].lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the average into the model."""
        for name, parameter in self._trainable():
            parameter.copy_(self.means[name])


class LossLog:
    """Prints the mean loss and the time left, every twenty seconds and at the end."""

    def __init__(self, title: str, steps: int) -> None:
        self.title = title
        self.steps = steps
        self.start = self.last = time.monotonic()
        self.losses: list[float] = []

    def show(self, number: int, loss: float) -> None:
        """Add the loss of step `number`, counted from 1."""
        self.losses.append(loss)
        if time.monotonic() - self.last < 20 and number < self.steps:
            return
        self.last = time.monotonic()
        left = (self.last - self.start) / number * (self.steps - number) / 60
        mean = sum(self.losses) / len(self.losses)
        print(f"{self.title} {number}/{self.steps} loss {mean:.4f} {left:.1f} min left", flush=True)
        self.losses.clear()


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
        model: Trained in place; only parameters that require a gradient change.
        steps: The input of each step, in order.
        loss: Computes a scalar from the input of a step.
        rates: Highest learning rate, and weight decay.
        average: Decay of the moving average that replaces the weights in the end; 0: none.
        title: First word of the printed lines.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=rates[0], weight_decay=rates[1], fused=True)
    warm = max(1, int(len(steps) * 0.06))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / warm, (len(steps) - s) / max(1, len(steps) - warm))
    )
    means, log = Average(model, average) if average else None, LossLog(title, len(steps))
    model.train()
    for number, step in enumerate(steps, 1):
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_bf16()):
            value = loss(step)
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        if means:
            means.update(number)
        log.show(number, float(value.detach()))
    if means:
        means.apply()
    model.eval()


def soft_cross_entropy(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of (n, 2) logits against probabilities of class 1, (n,)."""
    log_p = torch.log_softmax(logits.float(), dim=1)
    return -((1 - positive) * log_p[:, 0] + positive * log_p[:, 1]).mean()


@torch.inference_mode()
def predict(
    model: nn.Module, rows: Sequence[Sequence[int]], pad: int, size: int = 64
) -> np.ndarray:
    """Return the logits of rows of token ids, shape (n, 2), in the order of the rows."""
    model.eval()
    out = np.zeros((len(rows), 2), dtype=np.float64)
    for batch in batches_by_length([*map(len, rows)], size):
        ids, mask = pad_rows([rows[i] for i in batch], pad)
        out[batch] = model(input_ids=ids, attention_mask=mask).logits.float().numpy()
    return out
