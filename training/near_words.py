"""near_words.json beside an image starter: for words that it does not know, the nearest ones that it does.

    python -m training.near_words models/starter/scenes --emoji FOLDER

FOLDER is the unpacked npm package emojibase-data 17.0.0 (MIT): its labels and tags in both languages are words
that people want to see in a picture, and they say what an emoji means. Frequent English words come beside
them. Near means a small angle between what an offer and a word's emoji mean, by the vectors of
multilingual-e5-small (`python -m models.weights` fetches it).
"""

import argparse
import json
import re
from collections.abc import Iterable, Mapping
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
FREQUENT = 4000  # English words
OFFERS = 3
_FLAGS = 9  # emojibase's group of flags, which are nothing to draw
# What the page offers beside the starter's things, by its lines: English, Korean, and what is near to it.
SHAPES = [
    ("circle", "원", "circle: round, ball, ring, wheel, coin, button"),
    ("square", "사각형", "square: box, block, tile, window, package, cube"),
    ("triangle", "삼각형", "triangle: tent, pyramid, arrow, roof"),
    ("star", "별", "star: bright point, stars"),
    ("heart", "하트", "heart: love, kiss, valentine"),
    ("diamond", "마름모", "diamond: rhombus, jewel, gem"),
]
COLOURS = [
    ("red", "빨간", "red: colour crimson, scarlet, ruby, blood"),
    ("orange", "주황색", "orange: colour amber, apricot"),
    ("yellow", "노란", "yellow: colour gold, golden, lemon"),
    ("green", "초록", "green: colour emerald, olive, lime"),
    ("blue", "파란", "blue: colour navy, azure, turquoise"),
    ("purple", "보라색", "purple: colour violet, lilac"),
    ("pink", "분홍", "pink: colour rose, magenta"),
    ("black", "검은", "black: colour dark, ebony"),
    ("white", "흰", "white: colour ivory, pale"),
]
PLACES = [
    ("on the grass", "풀밭", "grass: field, meadow, park, farm, garden, ground"),
    ("on the beach", "바닷가", "beach: sand, seaside, coast, island, holiday"),
    ("on the sea", "바다", "sea: ocean, water, lake, river, wave"),
    ("in the snow", "눈밭", "snow: winter, ice, ski, cold"),
    ("in the city", "도시", "city: town, street, road, office, building, shop"),
    ("in the forest", "숲속", "forest: woods, jungle"),
    ("on a hill", "언덕", "hill: mountain, climbing, rock"),
    ("in the desert", "사막", "desert: dune, dry, hot"),
    ("on the moon", "달", "moon: lunar, space, galaxy, outer space"),
    ("under water", "물속", "under water: deep sea, diving, swimming"),
]
TIMES = [
    ("at sunset", "해 질 녘", "at sunset: evening, dusk, twilight, romantic, dawn"),
    ("at night", "밤", "at night: darkness, midnight, sleep, stars"),
    ("in the rain", "비 오는 날", "in the rain: rainy, storm, wet weather"),
]
# The things that begin another line of the page: people, food, plants and so on.
_NEW_LINE = {"smiley", "apple", "tree", "car", "house", "umbrella"}
_NEW_LINE |= {"wolf", "teddy bear", "lemon", "cherry blossom", "taxi", "church", "gift"}
Offer = tuple[str, str, str]


def offers(folder: Path, concepts: Mapping[str, str]) -> list[list[Offer]]:
    """What the starter in a folder offers, in groups: its things by their first names, and the lists here."""
    vocabulary = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
    groups: list[list[Offer]] = [[]]
    for key, names in vocabulary["things"].items():
        if key in _NEW_LINE and groups[-1]:
            groups.append([])
        english, korean = names["en"][0], names["ko"][0]
        groups[-1].append((english, korean, concepts.get(english, english)))
    return [*groups, SHAPES, COLOURS, PLACES, TIMES]


def concepts_of(emoji: Path) -> tuple[dict[str, str], dict[str, dict[str, list[str]]]]:
    """What emoji mean, in English words, and which words of both languages name them.

    Returns:
        Label -> label and tags; for each language word -> the labels that it names, best first.
    """
    tables = {
        language: json.loads((emoji / language / "data.json").read_text(encoding="utf-8"))
        for language in ("en", "ko")
    }
    labels = {
        one["hexcode"]: one["label"] for one in tables["en"] if one.get("group", _FLAGS) != _FLAGS
    }
    texts = {
        one["label"]: f"{one['label']}: {', '.join(one.get('tags', ())[:10])}"
        for one in tables["en"]
        if one["hexcode"] in labels
    }
    labels_of: dict[str, dict[str, list[str]]] = {}
    for language, table in tables.items():
        words: dict[str, dict[str, int]] = {}
        for one in table:
            if one["hexcode"] not in labels:
                continue
            for rank, text in enumerate((one["label"], *one.get("tags", ()))):
                pieces = _words(language, text)
                for word in pieces:
                    cost = (rank > 0) * 10 + 5 * (len(pieces) - 1) + len(one.get("tags", ())) // 8
                    label = labels[one["hexcode"]]
                    costs = words.setdefault(word, {})
                    costs[label] = min(cost, costs.get(label, cost))
        labels_of[language] = {w: sorted(c, key=lambda k, c=c: c[k])[:4] for w, c in words.items()}
    return texts, labels_of


def _words(language: str, text: str) -> list[str]:
    words = re.findall(r"[a-z]{3,}" if language == "en" else r"[가-힣]+", text.lower())
    # A Korean word may end like a particle (고양이), so only English ones lose their ending.
    return [stem(word) for word in words] if language == "en" else words


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
    concepts, labels_of = concepts_of(options.emoji)
    groups = offers(options.folder, concepts)
    flat = [one for group in groups for one in group]
    frequent = (ROOT / "models/starter/word_vectors_en/vocabulary.txt").read_text(encoding="utf-8")
    plain = [w for text in frequent.splitlines()[:FREQUENT] for w in _words("en", text)]
    plain = [word for word in dict.fromkeys(plain) if word not in labels_of["en"]]

    def vectors(texts: Iterable[str]) -> Any:
        return encoder.encode(
            list(texts), batch_size=128, prompt="query: ", normalize_embeddings=True
        )

    meanings, single, suggestions = (
        vectors(concepts.values()),
        vectors(plain),
        vectors(o[2] for o in flat),
    )
    centre = meanings.mean(0)  # what all of them share says nothing about any
    suggestions = suggestions - centre
    suggestions /= np.linalg.norm(suggestions, axis=1, keepdims=True)
    rows = {label: row - centre for label, row in zip(concepts, meanings, strict=True)}
    table: dict[str, Any] = {}
    for place, language in enumerate(("en", "ko")):
        by_word = {
            word: np.mean([rows[label] / (k + 1) for k, label in enumerate(labels)], axis=0)
            for word, labels in labels_of[language].items()
        }
        if language == "en":
            by_word |= dict(zip(plain, single - single.mean(0), strict=True))
        names = list(dict.fromkeys(one[place] for one in flat))
        near: dict[str, list[int]] = {}
        for word, vector in by_word.items():
            if vocabulary.unknown(word):
                best = [names.index(flat[k][place]) for k in np.argsort(-(suggestions @ vector))]
                near[word] = list(dict.fromkeys(best))[:OFFERS]
        table[language] = {"groups": [[one[place] for one in g] for g in groups], "near": near}
        print(language, len(names), "offers for", len(near), "words")
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    (options.folder / NEAR_FILE).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
