"""What every stage shares: lines of progress, whole checkpoints, threads that give way."""

import os
import time
from pathlib import Path
from typing import Any

import torch


class Progress:
    """Prints a line now and then: the step, the mean loss since, pictures a second."""

    def __init__(self, name: str, every_s: float = 30.0) -> None:
        self._name, self._every_s = name, every_s
        self._shown, self._pictures, self._losses = time.monotonic(), 0, []

    def step(self, step: int, pictures: int, loss: float) -> None:
        """Counts a step; prints when it is time."""
        self._pictures += pictures
        self._losses.append(loss)
        elapsed = time.monotonic() - self._shown
        if elapsed < self._every_s:
            return
        mean = sum(self._losses) / len(self._losses)
        print(
            f"{time.strftime('%H:%M:%S')} {self._name} step {step}  loss {mean:.4f}"
            f"  {self._pictures / elapsed:.0f} pictures/s  {torch.get_num_threads()} threads",
            flush=True,
        )
        self._shown, self._pictures, self._losses = time.monotonic(), 0, []


class Threads:
    """Two threads while a second core is free, one otherwise: a thread that waits for a core makes
    every operation wait, so that beside other work two threads are slower than one.
    """

    def __init__(self, most: int, every: int = 4, window: int = 6) -> None:
        self._most, self._every, self._window = most, every, window
        self._seen: list[int] = []
        self._steps = 0
        torch.set_num_threads(most)

    def step(self) -> None:
        """Looks at what else runs, now and then, and sets the number of threads."""
        self._steps += 1
        if self._most < 2 or self._steps % self._every:
            return
        self._seen = [*self._seen, self._others()][-self._window :]
        if len(self._seen) < self._window:
            return
        busy = sum(self._seen) / len(self._seen)
        threads = self._most if busy < 0.4 else max(1, self._most - 1)
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
            self._seen = []

    @staticmethod
    def _others() -> int:
        """Running processes besides this thread, from /proc; 0 where there is no /proc."""
        try:
            lines = Path("/proc/stat").read_text().splitlines()
        except OSError:
            return 0
        running = next(int(line.split()[1]) for line in lines if line.startswith("procs_running"))
        return max(0, running - 1)


def save_whole(state: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint beside its place first, so that a break leaves the last one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None where there is none."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def rate_share(step: int, steps: int, decay: int, warm_up: int = 50) -> float:
    """The share of the learning rate: a short warm-up, level, linear to 0 in the last `decay`."""
    return max(0.0, min(1.0, (step + 1) / warm_up, (steps - step) / max(decay, 1)))
