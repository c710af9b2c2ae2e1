"""Scenes as latents on disk, so that the diffusion's training never waits for drawing.

A chunk is a thousand scenes of one seed; only its latents are stored, since the seed gives the
scenes again.
"""

import hashlib
import random
from pathlib import Path

import torch

from training.scenes.autoencoder import as_input, load_autoencoder
from training.scenes.drawing import Painter, read_icons
from training.scenes.progress import load_state, save_whole
from training.scenes.sampling import sample_trained
from training.scenes.things import all_things, first_keys
from training.scenes.world import Scene

CHUNK = 1024
AT_ONCE = 16
FIRST, LATER_WEIGHT = 80, 2  # a scene with a later thing is taken twice as often
APART_EVERY = 5  # the last chunk of so many shows only two things apart, which are learned last


def chunk_path(run: Path, chunk: int) -> Path:
    """Where a chunk's latents lie."""
    return run / "latents" / f"{chunk:04d}.pt"


def chunk_scenes(chunk: int, things: int) -> list[Scene]:
    """The scenes of a chunk, of the first `things` things."""
    # Others than the shipped weights have seen, from which a run goes on.
    rng, keys = random.Random(f"bank/fifth/{chunk}"), first_keys(things)
    kind = "apart" if (chunk + 1) % APART_EVERY == 0 else None
    return [sample_trained(rng, keys, kind) for _ in range(CHUNK)]


def digest(scenes: list[Scene]) -> str:
    """Tells whether scenes are those whose latents lie on disk: a change of the sampling is not."""
    return hashlib.sha256(repr(scenes).encode()).hexdigest()[:16]


@torch.inference_mode()
def make_latents(data: Path, run: Path, chunks: int, things: int, bfloat16: bool) -> None:
    """Encodes the chunks that are not there yet."""
    torch.set_num_threads(1)
    painter, model = Painter(read_icons(data)), load_autoencoder(run)
    for chunk in range(chunks):
        if chunk_path(run, chunk).exists():
            continue
        scenes, parts = chunk_scenes(chunk, things), []
        for begin in range(0, CHUNK, AT_ONCE):
            pictures = [painter.draw(scene) for scene in scenes[begin : begin + AT_ONCE]]
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                parts.append(model.encode(as_input(pictures)).latent.half().contiguous())
        state = {"latents": torch.cat(parts), "things": things, "scenes": digest(scenes)}
        save_whole(state, chunk_path(run, chunk))
        print(f"chunk {chunk} of {chunks}", flush=True)


class Bank:
    """The chunks of a run in memory, more as they appear."""

    def __init__(self, run: Path, most: int | None = None) -> None:
        self._run, self._most = run, most
        self._scenes: list[Scene] = []
        self.pairs: list[int] = []  # the rows with two different things, each by its weight
        self.others: list[int] = []
        self._latents: list[torch.Tensor] = []
        self._later = set(all_things()) - set(first_keys(FIRST))
        self.extend()

    def __len__(self) -> int:
        return len(self._scenes)

    def extend(self) -> None:
        """Takes in the chunks that have appeared since."""
        while self._most is None or len(self._latents) < self._most:
            if (state := load_state(chunk_path(self._run, len(self._latents)))) is None:
                return
            scenes = chunk_scenes(len(self._latents), state["things"])
            if state.get("scenes", digest(scenes)) != digest(scenes):
                raise ValueError(f"{self._run}: other scenes than today's; make the latents again")
            for row, scene in enumerate(scenes, start=len(self._scenes)):
                keys = {item.key for item in scene.items}
                weight = LATER_WEIGHT if keys & self._later else 1
                (self.pairs if len(keys) > 1 else self.others).extend([row] * weight)
            self._scenes += scenes
            self._latents.append(state["latents"])

    def std(self) -> float:
        """The spread of all latents in the first chunk: 1 / `scaling_factor`."""
        return self._latents[0].float().std().item()

    def row(self, index: int) -> tuple[torch.Tensor, Scene]:
        """The latents (96, 8, 8) and the scene of one picture."""
        return self._latents[index // CHUNK][index % CHUNK].float(), self._scenes[index]
