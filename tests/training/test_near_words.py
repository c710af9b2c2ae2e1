"""The near words of an image starter: what emoji mean, and what is offered."""

import json

import pytest

from models.settings import ROOT
from models.text_to_image.vocabulary import Vocabulary
from training.near_words import COLOURS, PLACES, SHAPES, TIMES, concepts_of, offers

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
    concepts, by_name = concepts_of(emoji)
    assert concepts == {"cat face": "cat face: kitten, pet", "ship": "ship: boat, pet"}
    assert by_name["en"]["cat"] == ["cat face"]
    assert by_name["en"]["boat"] == ["ship"]
    assert set(by_name["en"]["pet"]) == {"cat face", "ship"}
    assert by_name["ko"]["고양이"] == ["cat face"]
    assert by_name["ko"]["여객선"] == ["ship"]
    assert "korea" not in by_name["en"]


def test_things_come_in_lines_then_shapes_colours_places_and_times(tmp_path):
    things = {
        "cat": {"en": ["cat", "kitten"], "ko": ["고양이"]},
        "apple": {"en": ["apple"], "ko": ["사과"]},
        "pizza": {"en": ["pizza"], "ko": ["피자"]},
    }
    (tmp_path / "words.json").write_text(json.dumps({"words": [], "things": things}))
    first, second, *rest = offers(tmp_path, {"cat": "cat: pet"})
    assert first == [("cat", "고양이", "cat: pet")]
    assert [one[:2] for one in second] == [("apple", "사과"), ("pizza", "피자")]
    assert rest == [SHAPES, COLOURS, PLACES, TIMES]


@pytest.mark.parametrize("place", [0, 1])
def test_the_starter_knows_every_word_that_the_page_offers(place):
    folder = ROOT / "models" / "starter" / "scenes"
    values = Vocabulary.read(folder)
    for group in offers(folder, {}):
        assert [one[place] for one in group if values.unknown(one[place])] == []
