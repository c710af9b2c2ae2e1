"""python -m training.evaluate NAME: the figures of a shipped starter, in one run."""

import sys
from importlib import import_module

EVALUATIONS = {
    "hub": "training.hub_evaluation",
    "openers": "training.small_talk.openers",
    "text": "training.text_evaluation",
}


def main(words: list[str]) -> None:
    """Runs the named evaluation with the words that follow its name."""
    if not words or words[0] not in EVALUATIONS:
        sys.exit(f"usage: python -m training.evaluate {{{','.join(EVALUATIONS)}}} ...")
    import_module(EVALUATIONS[words[0]]).main(words[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
