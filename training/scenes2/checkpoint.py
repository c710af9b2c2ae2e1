"""A run's checkpoints as float16 safetensors in files under 10 MB, to keep in the repository.

The autoencoder, the averaged UNet and text model, the tokenizer and the steps are kept; the
optimiser's state is not (it fills again in about fifty steps).
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from training.scenes2 import autoencoder, diffusion
from training.scenes2.progress import load_state, save_whole
from training.scenes2.text import FOLDER, compact

LARGEST = 9_000_000  # bytes a file
SOURCES = {
    "autoencoder": (autoencoder.CHECKPOINT, "model"),
    "diffusion": (diffusion.CHECKPOINT, "average"),
}


def _shards(tensors: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    shards: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        half = tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()
        if size + half.nbytes > LARGEST:
            shards.append({})
            size = 0
        shards[-1][name] = half
        size += half.nbytes
    return shards


def pack(run: Path, folder: Path) -> None:
    """Writes what the run has so far."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.safetensors"):
        old.unlink()
    steps = {}
    for name, (file, part) in SOURCES.items():
        if (state := load_state(run / file)) is None:
            continue
        steps[name] = state["step"]
        for index, shard in enumerate(_shards(state[part])):
            save_file(shard, folder / f"{name}-{index}.safetensors")
    if (run / "latents" / "0000.pt").exists():
        from training.scenes2.bank import Bank

        steps["latent_std"] = Bank(run, most=1).std()
    if (run / FOLDER).exists():
        shutil.copytree(run / FOLDER, folder / FOLDER, dirs_exist_ok=True)
        compact(folder / FOLDER / "tokenizer.json")
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors writes for the owner alone
    (folder / "steps.json").write_text(json.dumps(steps, indent=2) + "\n")


def unpack(folder: Path, run: Path) -> None:
    """Makes a run folder from which every stage goes on."""
    steps = json.loads((folder / "steps.json").read_text())
    for name, (file, part) in SOURCES.items():
        if name not in steps:
            continue
        tensors: dict[str, torch.Tensor] = {}
        for shard in sorted(folder.glob(f"{name}-*.safetensors")):
            tensors |= load_file(shard)
        whole = {key: t.float() if t.is_floating_point() else t for key, t in tensors.items()}
        state = {"model": whole, part: whole, "step": steps[name], "optimiser": None}
        save_whole(state, run / file)
    if (folder / FOLDER).exists():
        shutil.copytree(folder / FOLDER, run / FOLDER, dirs_exist_ok=True)
