"""What a training shows and keeps: lines with the time left, whole files, sheets of pictures."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image


class Progress:
    """Prints a line now and then: share done, the loss, pictures a second, minutes left."""

    def __init__(self, name: str, every_s: float = 30.0) -> None:
        self._name, self._every_s = name, every_s
        self._begun = self._shown = time.monotonic()
        self._seen, self._losses = 0, []

    def step(self, done: float, pictures: int, loss: torch.Tensor) -> None:
        """Counts a step; `done` is the share of the whole training from 0 to 1."""
        self._seen += pictures
        self._losses.append(loss.detach())
        now = time.monotonic()
        if now - self._shown < self._every_s:
            return
        if not hasattr(self, "_first"):
            self._first, self._begun, self._seen = done, now, 0
        elapsed = now - self._begun
        left = elapsed / max(done - self._first, 1e-9) * (1 - done) / 60
        mean = torch.stack(self._losses).mean().item()
        rate = self._seen / elapsed if elapsed else 0
        print(
            f"{time.strftime('%H:%M:%S')} {self._name} {done:6.1%}  loss {mean:.4f}"
            f"  {rate:.0f} pictures/s  {left:.0f} min left",
            flush=True,
        )
        self._shown, self._losses = now, []


def save_whole(state: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint beside its place first, so that a break leaves the last one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None where there is none."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def save_sheet(pictures: np.ndarray, path: Path, columns: int, zoom: int = 2) -> None:
    """Writes pictures, uint8 (count, side, side, 3), as one PNG with `columns` in a row."""
    count, side = pictures.shape[:2]
    cell, rows = side * zoom + 4, -(-count // columns)
    sheet = Image.new("RGB", (columns * cell, rows * cell), "white")
    for index, pixels in enumerate(pictures):
        tile = Image.fromarray(pixels).resize((side * zoom, side * zoom), Image.Resampling.NEAREST)
        sheet.paste(tile, (index % columns * cell + 2, index // columns * cell + 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)
