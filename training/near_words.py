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
# What a starter of shapes and scenes offers, by lines of the page: English, Korean, and what is near to it.
# One with things of its own offers their names.
SCENES = [
    [
        ("circle", "원", "circle: round, ball, ring, wheel, coin, button, balloon"),
        ("square", "사각형", "square: box, block, tile, window, package, cube"),
        ("triangle", "삼각형", "triangle: tent, pyramid, arrow, slice of pizza, roof"),
        ("star", "별", "star: bright point, astronaut, space, rocket, planet"),
        ("heart", "하트", "heart: love, kiss, valentine, friend, family, person, face"),
    ],
    [
        ("red", "빨간", "red: colour crimson, scarlet, ruby, blood"),
        ("orange", "주황", "orange: colour amber, apricot"),
        ("yellow", "노란", "yellow: colour gold, golden, lemon"),
        ("green", "초록", "green: colour emerald, olive, lime"),
        ("blue", "파란", "blue: colour navy, azure, turquoise"),
        ("purple", "보라색", "purple: colour violet, lilac"),
        ("pink", "분홍", "pink: colour rose, magenta"),
        ("brown", "갈색", "brown: colour chestnut, beige"),
        ("black", "검은", "black: colour dark, ebony"),
        ("white", "흰", "white: colour ivory, pale"),
        ("grey", "회색", "grey: colour silver, ash"),
    ],
    [
        (
            "city skyline",
            "도시",
            "city skyline: building, street, tower, town, office, hotel, shop",
        ),
        (
            "futuristic cityscape",
            "미래 도시",
            "futuristic cityscape: robot, science fiction, alien, ufo",
        ),
        ("mountains", "산", "mountains: hill, volcano, rock, snow, ski, climbing"),
        ("sea", "바다", "sea: water, ocean, beach, lake, river, fish, whale, wave, swimming"),
        ("forest", "숲", "forest: wild animal, bear, fox, bird, deer, owl, wood, park, dragon"),
        ("desert", "사막", "desert: sand, camel, hot, dry, snake, lizard"),
        ("field", "들판", "field: farm, cow, sheep, horse, dog, cat, rabbit, grass, flower, rice"),
    ],
    [
        ("at sunset", "해 질 녘", "at sunset: evening, dusk, twilight, romantic"),
        ("at dawn", "새벽", "at dawn: morning, sunrise, early"),
        ("at night", "밤", "at night: darkness, midnight, sleep, ghost"),
        ("in daylight", "낮", "in daylight: noon, sunny day, summer"),
    ],
    [
        ("sun", "해", "sun: sunshine, light, warm, summer, weather"),
        ("moon", "달", "moon: crescent, full moon, night sky"),
        ("stars", "별", "stars: sparkles, galaxy, space, fireworks"),
        ("clouds", "구름", "clouds: rain, storm, sky, fog, rainbow, snowflake, wind"),
        (
            "flying cars",
            "하늘을 나는 자동차",
            "flying cars: car, bus, train, taxi, airplane, helicopter, bicycle",
        ),
        ("sailboat", "돛단배", "sailboat: boat, ship, yacht, ferry, canoe"),
        ("cactus", "선인장", "cactus: plant, tulip, flower, sunflower, pot"),
        ("house", "집", "house: home, cottage, castle, church, school, family, bed, door"),
        ("trees", "나무", "trees: tree, palm, pine, leaf, apple, fruit, park"),
    ],
]
Offer = tuple[str, str, str]


def offers(folder: Path, concepts: Mapping[str, str]) -> list[list[Offer]]:
    """What a starter offers, in groups: its things by their first names, else SCENES."""
    known = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
    if isinstance(known, list):
        return SCENES
    names = [(one["en"][0], one["ko"][0]) for one in known["things"].values()]
    return [[(en, ko, concepts.get(en, en)) for en, ko in names], SCENES[1], SCENES[3]]


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
    named: dict[str, dict[str, list[str]]] = {}
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
        named[language] = {w: sorted(c, key=lambda k, c=c: c[k])[:4] for w, c in words.items()}
    return texts, named


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
    concepts, named = concepts_of(options.emoji)
    groups = offers(options.folder, concepts)
    flat = [one for group in groups for one in group]
    frequent = (ROOT / "models/starter/word_vectors_en/vocabulary.txt").read_text(encoding="utf-8")
    plain = [w for text in frequent.splitlines()[:FREQUENT] for w in _words("en", text)]
    plain = [word for word in dict.fromkeys(plain) if word not in named["en"]]

    def vectors(texts: Iterable[str]) -> Any:
        return encoder.encode(
            list(texts), batch_size=128, prompt="query: ", normalize_embeddings=True
        )

    meant, single, offered = vectors(concepts.values()), vectors(plain), vectors(o[2] for o in flat)
    centre = meant.mean(0)  # what all of them share says nothing about any
    offered = offered - centre
    offered /= np.linalg.norm(offered, axis=1, keepdims=True)
    rows = {label: row - centre for label, row in zip(concepts, meant, strict=True)}
    table: dict[str, Any] = {}
    for place, language in enumerate(("en", "ko")):
        found = {
            word: np.mean([rows[label] / (k + 1) for k, label in enumerate(labels)], axis=0)
            for word, labels in named[language].items()
        }
        if language == "en":
            found |= dict(zip(plain, single - single.mean(0), strict=True))
        names = list(dict.fromkeys(one[place] for one in flat))
        near: dict[str, list[int]] = {}
        for word, vector in found.items():
            if vocabulary.unknown(word):
                best = [names.index(flat[k][place]) for k in np.argsort(-(offered @ vector))]
                near[word] = list(dict.fromkeys(best))[:OFFERS]
        table[language] = {"groups": [[one[place] for one in g] for g in groups], "near": near}
        print(language, len(names), "offers for", len(near), "words")
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    (options.folder / NEAR_FILE).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
