"""Korean particles after any word, and one term for one thing."""

import re
import tomllib

import pytest

from models.tasks import CATALOG
from tabs.shared.strings import FOLDER, STRINGS, fill, particle, phrases

GLOSSARY = tomllib.loads((FOLDER / "glossary.toml").read_text(encoding="utf-8"))["term"]


@pytest.mark.parametrize(
    ("word", "object_", "way", "is_"),
    [
        ("먹다", "를", "로", "예요"),
        ("밥", "을", "으로", "이에요"),
        ("연필", "을", "로", "이에요"),
        ("‘먹다’", "를", "로", "예요"),
        ("<b>밥</b>", "을", "으로", "이에요"),
        ("온도(temperature)", "를", "로", "예요"),
        ("0", "을", "으로", "이에요"),
        ("0.71", "을", "로", "이에요"),
        ("42", "를", "로", "예요"),
        ("3", "을", "으로", "이에요"),
        ("10", "을", "으로", "이에요"),
        ("7", "을", "로", "이에요"),
        ("50%", "를", "로", "예요"),
        ("16 GB", "를", "로", "예요"),
        ("GPT-4o", "를", "로", "예요"),
        ("LLM", "을", "으로", "이에요"),
        ("URL", "을", "로", "이에요"),
        ("label", "을", "로", "이에요"),
        ("test", "를", "로", "예요"),
        ("map", "을", "으로", "이에요"),
        ("name", "을", "으로", "이에요"),
        ("queue", "를", "로", "예요"),
        ("king &amp; queen", "을", "으로", "이에요"),
    ],
)
def test_a_particle_is_right_after_any_word(word, object_, way, is_):
    assert particle(word, "을(를)") == object_
    assert particle(word, "(으)로") == way
    assert particle(word, "이에요(예요)") == is_


def test_where_nobody_can_tell_both_forms_stand():
    assert particle("🙂", "을(를)") == "을(를)"
    assert particle("", "이(가)") == "이(가)"


def test_only_the_string_s_own_particles_are_chosen():
    words = fill("‘{word}’을(를) {to:.1f}(으)로", "ko", {"word": "밥이(가)", "to": 0.64})
    assert words == "‘밥이(가)’를 0.6으로"


def test_one_thing_is_no_plural():
    assert fill("{count} step(s)", "en", {"count": 1}) == "1 step"
    assert (
        fill("{count} step(s) of {of} class(es)", "en", {"count": 2, "of": 1})
        == "2 steps of 1 class"
    )
    assert fill("the model(s)", "en", {}) == "the models"


def test_after_a_place_no_particle_is_guessed():
    """A particle with one form only right after a place is wrong for half of all words."""
    guess = re.compile(
        r"\}[’”\"']*(을|를|이|가|은|는|과|와|으로|로|예요|이에요|이라는|라는)(?![가-힣(])"
    )
    faults = {k: m[0] for k, text in STRINGS["ko"].items() if (m := guess.search(text))}
    assert not faults


@pytest.mark.parametrize("term", GLOSSARY, ids=lambda term: term["en"])
def test_one_thing_has_one_name(term):
    notes = {spec.id: spec.note.get("ko", "") for spec in CATALOG}
    for wrong in term["not"]:
        result = [key for key, text in (STRINGS["ko"] | notes).items() if re.search(wrong, text)]
        assert not result, f"{term['en']} is {term['ko']}, not {wrong}: {result}"


def test_no_space_stands_before_a_per_cent_sign():
    assert not [key for key, text in STRINGS["ko"].items() if re.search(r"[\d}] %", text)]


def test_the_catalogue_speaks_korean_too():
    """Names stay as they are; what is said about them does not."""
    english = re.compile(r"\b(average|its|noted|terms|your|project|untrained|packaging|pooling)\b")
    for spec in CATALOG:
        for text in (spec.label, spec.licence):
            assert not english.search(phrases(text)["ko"])
            assert phrases(text)["en"] == text
