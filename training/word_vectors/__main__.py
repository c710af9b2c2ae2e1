"""Command line of the word-vector training."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.weights.sources import STARTERS
from training.word_vectors.training import train


def main() -> None:
    """Train one language's word vectors."""
    parser = argparse.ArgumentParser(prog="python -m training.word_vectors")
    parser.add_argument("language", choices=["en", "ko"])
    parser.add_argument("--data", type=Path, required=True, help="folder with the public texts")
    parser.add_argument("--out", type=Path, help="folder for the vectors (default: the starter's)")
    options = parser.parse_args()
    out = options.out or STARTERS / f"word_vectors_{options.language}"
    train(options.language, options.data, out)


if __name__ == "__main__":
    main()
