"""What every stage shares: lines of progress, whole checkpoints, learning rates."""

import os
import time
from pathlib import Path
from typing import Any

import torch

WARM_UP = 100  # steps


class Progress:
    """Prints a line now and then: the step, the mean loss since, pictures a second."""

    def __init__(self, name: str, every_s: float = 30.0) -> None:
        self._name, self._every_s = name, every_s
        self._last, self._pictures, self._losses = time.monotonic(), 0, []

    def step(self, step: int, pictures: int, loss: float) -> None:
        """Counts a step; prints when it is time."""
        self._pictures += pictures
        self._losses.append(loss)
        seconds = time.monotonic() - self._last
        if seconds < self._every_s:
            return
        mean = sum(self._losses) / len(self._losses)
        print(
            f"{time.strftime('%H:%M:%S')} {self._name} step {step}  loss {mean:.4f}"
            f"  {self._pictures / seconds:.1f} pictures/s",
            flush=True,
        )
        self._last, self._pictures, self._losses = time.monotonic(), 0, []


def save_whole(state: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint beside its place first, so that a break leaves the last one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None where there is none."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def rate_share(step: int, steps: int, decay: int, warm_from: int = 0) -> float:
    """The share of the learning rate: a short warm-up, level, linear to 0 in the last `decay`.

    The warm-up begins at `warm_from`, where the optimizer has no state yet: its first full steps on
    weights that are trained already would throw them far off.
    """
    return max(0.0, min(1.0, (step + 1 - warm_from) / WARM_UP, (steps - step) / max(decay, 1)))
