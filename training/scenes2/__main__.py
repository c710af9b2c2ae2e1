"""python -m training.scenes2 STAGE: trains the image starter of 256 px, stage by stage.

Stages: autoencoder, latents, diffusion, probe, evaluate, export. Each goes on from the run folder's
checkpoint to the step. `--data` holds the icons and names from npm (see `drawing.py`).
"""

import argparse
from dataclasses import replace
from pathlib import Path

STAGES = ("autoencoder",)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.scenes2", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--data", type=Path, required=True, help="the npm packages, unpacked")
    parser.add_argument("--run", type=Path, default=Path("runs/scenes2"), help="checkpoints")
    parser.add_argument("--steps", type=int, help="where the stage ends")
    parser.add_argument("--decay", type=int, help="over how many last steps the rate falls to 0")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--threads", type=int, default=2, help="one fewer beside other work")
    parser.add_argument("--bfloat16", action="store_true", help="autocast; for AVX512-BF16 or AMX")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    """Runs one stage as the command line says."""
    options = arguments(words)
    names = ("steps", "decay", "batch", "learning_rate", "threads", "bfloat16")
    changes = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.stage == "autoencoder":
        from training.scenes2.autoencoder import Plan, train_autoencoder
        from training.scenes2.drawing import Painter, read_icons

        train_autoencoder(Painter(read_icons(options.data)), options.run, replace(Plan(), **changes))


if __name__ == "__main__":
    main()
