"""Command line of the sentiment training."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.weights.sources import STARTERS


def main() -> None:
    """Train one language's sentiment starter."""
    parser = argparse.ArgumentParser(prog="python -m training.sentiment")
    parser.add_argument("language", choices=["en", "ko"])
    parser.add_argument("--data", type=Path, required=True, help="folder with the public texts")
    parser.add_argument("--out", type=Path, help="folder for the weights (default: the starter's)")
    parser.add_argument("--work", type=Path, help="folder for half-way results, to resume from")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    out = options.out or STARTERS / f"sentiment_{options.language}"
    if options.language == "en":
        from training.sentiment.english import train
    else:
        from training.sentiment.korean import train
    train(options.data, out, options.work)


if __name__ == "__main__":
    main()
