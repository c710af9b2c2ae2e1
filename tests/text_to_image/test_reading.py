"""What a small model reads of a prompt: unknown words taken out, emoji in its own signs."""

import random
import subprocess
import sys

import pytest

from models.contract import ModelSpec
from models.runtime.jobs import run
from models.select import find
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.events import GridDone, WordAttention
from models.text_to_image.recipe import call, python
from models.text_to_image.requests import ImageRequest, LeaveOutRequest, WordAttentionRequest
from models.text_to_image.vocabulary import Vocabulary
from models.weights import sources
from tests.pictures import draw, open_png, psnr

STARTER: ModelSpec = find(TEXT_TO_IMAGE, "genlab/scenes")
WORDS = Vocabulary.read(sources.STARTERS / STARTER.name)

# No vocabulary has flurb and 플러브.
CASES = """
a cat and a flurb > a cat
a flurb and a cat > a cat
a cat, a flurb and a dog > a cat and a dog
a cat on a flurb > a cat
a flurb next to a tree > a tree
a cat in front of a flurb > a cat
a cat to the left of a flurb > a cat
a flurb on the left and a cat on the right > a cat on the right
a flurb sitting on the grass > on the grass
a flurby cat > a cat
a flurby orange cat > an orange cat
a smiling flurby sun > a smiling sun
a cat flurbing a bicycle > a cat and a bicycle
a big dog flurbs at the moon > a big dog at the moon
a cat and a red flurb > a cat
three flurbs and a dog > a dog
a cat with a flurb in the snow > a cat in the snow
a cat that is flurby > a cat
a cat's flurb > a cat
four cats > cats
cat, flurb, night > cat, night
고양이와 플러브 > 고양이
플러브와 고양이 > 고양이
사과와 플러브 > 사과
플러브 위의 고양이 > 고양이
언덕 위의 플러브 > 언덕 위
플러브를 플러브하는 고양이 > 고양이
고양이가 플러브를 플러브해요 > 고양이
고양이를 플러브하는 판다 > 고양이와 판다
기타 플러브하는 곰 > 기타와 곰
판다가 눈밭에서 플러브해요 > 판다, 눈밭
바닷가의 플러브한 고양이 > 바닷가의 고양이
고양이의 플러브와 판다 > 고양이와 판다
빨간 플러브를 쓰는 토끼 > 토끼
플러브 세 마리와 고양이 > 고양이
고양이 네 마리 > 고양이
풍선 다섯 개 > 풍선
왼쪽에 고양이, 오른쪽에 플러브 > 왼쪽에 고양이
왼쪽 위에 플러브, 오른쪽 아래에 고양이 > 오른쪽 아래에 고양이
🐱 and a flurb > 🐈
플러브 하나와 나무 > 나무
눈사람 하나와 플러브 > 눈사람 하나
빨간 플러브 > 빨간
"""


@pytest.mark.parametrize("case", CASES.strip().splitlines())
def test_an_unknown_word_goes_with_what_stood_there_for_it(case):
    prompt, _, rest = case.partition(" > ")
    assert WORDS.reading(prompt) == rest


@pytest.mark.parametrize(
    "prompt",
    [
        "A panda, in  the snow (at night)!",
        "3 balloons",
        "풍선 3개",
        "판다가 눈밭에 있어요",
        "눈사람 하나와 나무 하나",
        "jack-o'-lantern",
        "the",
        "",
    ],
)
def test_a_prompt_of_known_words_is_read_as_it_is(prompt):
    assert WORDS.reading(prompt) == prompt


def test_whatever_is_read_is_known_and_is_read_the_same_again():
    chance = random.Random(3)
    text = """a the an flurb flurbs flurbing cat dogs red three and , with on next to under in front of
    left 's is ! 🐱 ☀️ 👩🏽‍🚀 🛸 4 플러브 플러브를 플러브와 고양이 고양이가 사과와 판다의 언덕 위의 옆에 있는 빨간 세 네
    마리 3마리 개 눈밭에서 왼쪽에 위에 , 그려 줘 나는"""
    pieces = text.split()
    for _ in range(3000):
        prompt = " ".join(chance.choices(pieces, k=chance.randint(1, 9)))
        reading = WORDS.reading(prompt)
        assert WORDS.unknown(reading) == (), prompt
        assert WORDS.reading(reading) == reading, prompt
        assert WORDS.says_something(reading) == WORDS.says_something(prompt), prompt


@pytest.mark.parametrize(
    ("prompt", "reading"),
    [
        ("🐱", "🐈"),
        ("🐶 on the beach", "🐕 on the beach"),
        ("🐱와 강아지", "🐈와 강아지"),
        ("☀️", "🌞"),
        ("🌲 🌳 🐈 🐕", "🌲 🌳 🐈 🐕"),
        ("👩🏽‍🚀 on the moon", "🧑‍🚀 on the moon"),
        ("❤️", "red heart"),
        ("하늘의 💙", "하늘의 파란 하트"),
        ("🔺", "red triangle"),
    ],
)
def test_another_emoji_of_a_known_thing_is_that_thing(prompt, reading):
    assert WORDS.unknown(prompt) == ()
    assert WORDS.reading(prompt) == reading


@pytest.mark.parametrize(
    ("word", "number"),
    [("four", "three"), ("7", "3"), ("네", "세"), ("5마리의", "3마리"), ("12", "3")],
)
def test_for_a_number_above_three_the_largest_known_one_is_offered(word, number):
    assert WORDS.nearest(word) == (number,)


# ---------------------------------------------------------------- what is drawn


PROMPT, READING = "a flurby cat and a flurb in the snow", "a cat in the snow"


def test_the_picture_is_that_of_what_is_read_and_keeps_the_persons_prompt(cache):
    end, _ = draw(cache, PROMPT, STARTER, num_inference_steps=3, negative_prompt="flurb, red")
    same, _ = draw(cache, READING, STARTER, num_inference_steps=3, negative_prompt="red")
    assert psnr(end.images[0], same.images[0]) == float("inf")
    assert (end.unknown, end.reading) == (("flurby", "flurb"), READING)
    assert (same.unknown, same.reading) == ((), "")
    notes = open_png(end.images[0]).info["parameters"]
    assert notes.startswith(f"{PROMPT}\nNegative prompt: flurb, red\n")


def test_words_and_their_maps_are_those_that_it_reads(cache):
    request = WordAttentionRequest.of(prompt=PROMPT, seed=7, num_inference_steps=2)
    record = next(e for e in run(cache, STARTER, request) if isinstance(e, WordAttention))
    assert record.words == ("cat", "snow")
    request = LeaveOutRequest.of(prompt=PROMPT, seed=7, num_inference_steps=2)
    end = next(e for e in run(cache, STARTER, request) if isinstance(e, GridDone))
    assert end.reading == READING


def test_the_code_draws_what_is_read_and_a_server_gets_the_persons_words(cache, tmp_path):
    request = ImageRequest.of(prompt=PROMPT, seed=7, num_inference_steps=2).with_defaults(STARTER)
    end, events = draw(cache, PROMPT, STARTER, num_inference_steps=2)
    placement = events[-1].placement
    code = python(STARTER, request, placement)
    assert f"prompt='{READING}'" in code
    assert "# Left out, since the model has not learnt the words: flurby, flurb.\n" in code
    code = code.replace("models/starter", str(sources.STARTERS))
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=250)
    with open_png((tmp_path / "picture-7.png").read_bytes()) as again:
        assert psnr(again, end.images[0]) >= 50
    over_http = call(STARTER, request, placement, lambda name, **_: name)
    assert over_http.body["prompt"] == PROMPT
    assert over_http.app.body == {"prompt": READING}
