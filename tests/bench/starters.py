"""First true result of each starter in a fresh process, load included: `python -m tests.bench.starters`."""

import subprocess
import sys

from tests.conftest import ROOT

RUN = """
import time
began = time.perf_counter()
from models.chat.events import TextDelta
from models.chat.requests import ChatRequest
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.sentence_similarity.events import Similarities
from models.sentence_similarity.requests import SimilarityRequest
from models.sentiment.events import Scores
from models.sentiment.requests import SentimentRequest
from models.settings import Settings
from models.tasks import *
from models.text_to_image.events import ImagesDone
from models.text_to_image.requests import ImageRequest
settings = Settings()
task, model, ask, kind = {case}
seconds = 0.0
for event in run(ModelCache(settings), find(task, model), ask):
    if isinstance(event, kind) and not seconds:
        seconds = time.perf_counter() - began
print(f"{{seconds:.1f}}")
"""
CASES = {
    "sentiment, English": '(SENTIMENT, "genlab/sentiment-en", SentimentRequest.of(text="good"), Scores)',
    "sentiment, Korean": '(SENTIMENT, "genlab/sentiment-ko", SentimentRequest.of(text="좋아요"), Scores)',
    "similarity": '(SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2", SimilarityRequest.of(sentences=["a cat", "a dog"]), Similarities)',
    "chat, first words": '(CHAT, "genlab/small-talk", ChatRequest.of(messages=[{"role": "user", "content": "Hello"}], seed=1), TextDelta)',
    "image, default steps": '(TEXT_TO_IMAGE, "genlab/scenes", ImageRequest.of(prompt="a red circle on a blue background", seed=1), ImagesDone)',
}


def main() -> None:
    """Print the seconds from the first import to the first result; the second run has warm disks."""
    for name, case in CASES.items():
        times = [
            subprocess.run(
                [sys.executable, "-c", RUN.format(case=case)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for _ in range(2)
        ]
        print(f"{name}: {times[0]} s, again {times[1]} s")


if __name__ == "__main__":
    main()
