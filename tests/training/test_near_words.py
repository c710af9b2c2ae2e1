"""The near words of an image starter: what emoji mean, and what is offered."""

import json

import pytest

from models.settings import ROOT
from training.near_words import SCENES, concepts_of, offers

EMOJI = {
    "en": [
        {"hexcode": "1F431", "label": "cat face", "tags": ["kitten", "pet"], "group": 3},
        {"hexcode": "1F6F3", "label": "ship", "tags": ["boat", "pet"], "group": 5},
        {"hexcode": "1F1F0", "label": "flag: Korea", "tags": ["KR"], "group": 9},
        {"hexcode": "1F3FB", "label": "light skin"},
    ],
    "ko": [
        {"hexcode": "1F431", "label": "고양이", "tags": ["새끼 고양이"], "group": 3},
        {"hexcode": "1F6F3", "label": "배", "tags": ["여객선"], "group": 5},
    ],
}


@pytest.fixture
def emoji(tmp_path):
    for language, table in EMOJI.items():
        (tmp_path / language).mkdir()
        (tmp_path / language / "data.json").write_text(json.dumps(table))
    return tmp_path


def test_words_of_both_languages_name_what_emoji_mean_and_flags_nothing(emoji):
    concepts, named = concepts_of(emoji)
    assert concepts == {"cat face": "cat face: kitten, pet", "ship": "ship: boat, pet"}
    assert named["en"]["cat"] == ["cat face"]
    assert named["en"]["boat"] == ["ship"]
    assert set(named["en"]["pet"]) == {"cat face", "ship"}
    assert named["ko"]["고양이"] == ["cat face"]
    assert named["ko"]["여객선"] == ["ship"]
    assert "korea" not in named["en"]


def test_a_starter_with_things_offers_them_and_one_without_its_shapes_and_scenes(tmp_path):
    assert offers(ROOT / "models" / "starter" / "scenes", {}) == SCENES
    known = {"words": [], "things": {"cat": {"en": ["cat", "kitten"], "ko": ["고양이"]}}}
    (tmp_path / "words.json").write_text(json.dumps(known))
    things, colours, times = offers(tmp_path, {"cat": "cat: pet"})
    assert things == [("cat", "고양이", "cat: pet")]
    assert ("red", "빨간") in [one[:2] for one in colours]
    assert ("at night", "밤") in [one[:2] for one in times]
