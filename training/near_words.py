"""near_words.json beside an image starter: for words that it does not know, the nearest ones that it does.

    python -m training.near_words models/starter/scenes --emoji FOLDER

FOLDER is the unpacked npm package emojibase-data 17.0.0 (MIT), whose labels and tags in both languages are
words that people want to see in a picture. The frequent words of GenLab's own word vectors come beside them.
Near means a small angle between the vectors of multilingual-e5-small (`python -m models.weights` fetches it).
"""

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from models.contract import Stop
from models.select import find
from models.settings import ROOT, Settings
from models.tasks import SENTENCE_SIMILARITY
from models.text_to_image.vocabulary import NEAR_FILE, VOCABULARY_FILE, Vocabulary, stem
from models.weights import sources

E5 = "intfloat/multilingual-e5-small"
FREQUENT = {"en": 8000, "ko": 4000}
OFFERS = 3
# What a starter of shapes and scenes offers, by lines of the page. One with things offers their names.
SCENES = {
    "en": [
        "circle, square, triangle, star, heart",
        "red, orange, yellow, green, blue, purple, pink, brown, black, white, grey",
        "city skyline, futuristic cityscape, mountains, sea, forest, desert, field",
        "at sunset, at dawn, at night, in daylight",
        "sun, moon, stars, clouds, flying cars, sailboat, cactus, house, trees",
    ],
    "ko": [
        "원, 사각형, 삼각형, 별, 하트",
        "빨간, 주황, 노란, 초록, 파란, 보라색, 분홍, 갈색, 검은, 흰, 회색",
        "도시, 미래 도시, 산, 바다, 숲, 사막, 들판",
        "해 질 녘, 새벽, 밤, 낮",
        "해, 달, 별, 구름, 하늘을 나는 자동차, 돛단배, 선인장, 집, 나무",
    ],
}


def groups(folder: Path, language: str) -> list[list[str]]:
    """The words that are offered: the starter's things by their first names, else those of SCENES."""
    known = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
    if isinstance(known, dict):
        return [
            [names[language][0] for names in known["things"].values()],
            *_lines(language, (1, 3)),
        ]
    return _lines(language, range(len(SCENES[language])))


def _lines(language: str, numbers: Iterable[int]) -> list[list[str]]:
    return [SCENES[language][number].split(", ") for number in numbers]


def unknown_words(language: str, emoji: Path, vocabulary: Vocabulary) -> list[str]:
    """Words that people may type and the starter does not know, English ones without a plural's s."""
    texts = [
        text
        for one in json.loads((emoji / language / "data.json").read_text(encoding="utf-8"))
        for text in (one["label"], *one.get("tags", ()))
    ]
    folder = ROOT / "models" / "starter" / f"word_vectors_{language}"
    frequent = (folder / "vocabulary.txt").read_text(encoding="utf-8").splitlines()
    texts += frequent[: FREQUENT[language]]
    pattern = r"[a-z]{3,}" if language == "en" else r"[가-힣]+"
    words = [word for text in texts for word in re.findall(pattern, text.lower())]
    if language == "en":
        words = [stem(word) for word in words]  # a Korean word may end like a particle: 고양이
    return [word for word in dict.fromkeys(words) if vocabulary.unknown(word)]


def nearest(encoder: Any, words: list[str], offers: list[str]) -> dict[str, list[int]]:
    """For each word the places of the nearest offers."""
    ours, theirs = (
        encoder.encode(
            [f"query: {one}" for one in texts],
            batch_size=256,
            prompt="query: ",
            normalize_embeddings=True,
        )
        for texts in (words, offers)
    )
    mean = ours.mean(0)  # what all single words share says nothing about any
    ours, theirs = (part - mean for part in (ours, theirs))
    scores = ours @ (theirs / np.linalg.norm(theirs, axis=1, keepdims=True)).T
    return dict(zip(words, np.argsort(-scores)[:, :OFFERS].tolist(), strict=True))


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--emoji", type=Path, required=True)
    options = parser.parse_args()
    from sentence_transformers import SentenceTransformer

    spec = find(SENTENCE_SIMILARITY, E5)
    weights = sources.folder(spec, Settings(), Stop(), lambda _: None)
    encoder = SentenceTransformer(str(weights), device="cpu").float()
    vocabulary = Vocabulary.read(options.folder)
    assert vocabulary is not None
    table: dict[str, Any] = {}
    for language in SCENES:
        lines = groups(options.folder, language)
        offers = list(dict.fromkeys(word for line in lines for word in line))
        words = unknown_words(language, options.emoji, vocabulary)
        table[language] = {"groups": lines, "near": nearest(encoder, words, offers)}
        print(language, len(offers), "offers for", len(words), "words")
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    (options.folder / NEAR_FILE).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
