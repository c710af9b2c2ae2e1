"""Every figure of the text starters from their shipped weights.

``python -m training.evaluate text --data DIR``
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

STARTERS = (
    "small_talk",
    "sentiment",
    "word_vectors",
)  # packages here, each with evaluation.figures(data)


def main(argv: list[str] | None = None) -> None:
    """Print each starter's figures, a line each.

    Args:
        argv: Command line after "text"; the process's own when None.
    """
    parser = argparse.ArgumentParser(prog="python -m training.evaluate text", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public texts")
    parser.add_argument("--only", choices=STARTERS, help="one starter alone")
    args = parser.parse_args(argv)
    for name in (args.only,) if args.only else STARTERS:
        print(f"## {name}", flush=True)
        evaluation = importlib.import_module(f"training.{name}.evaluation")
        for label, value in evaluation.figures(args.data):
            print(f"{label}: {value}", flush=True)


if __name__ == "__main__":
    main()
