"""The lens under a picture as the tab makes it, and the worked example, with the shipped starter."""

import base64
import html
import io
import json
import re

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from models.runtime.cache import ModelCache
from models.settings import Settings
from models.tasks import CATALOG
from models.text_to_image.events import StepDone
from models.text_to_image.requests import ImageRequest
from tabs.shared.context import Context
from tabs.shared.events import PageError
from tabs.text_to_image import controls, draw, example, lens
from tabs.text_to_image.picture_html import file_address
from tests import pictures
from tests.pictures import draw as draw_pictures
from training import image_example

STARTER = next(spec for spec in CATALOG if spec.id == "genlab/scenes")
DIALS = {**pictures.DIALS, "num_inference_steps": 4}


@pytest.fixture(scope="module")
def context():
    cache = ModelCache(Settings())
    yield Context(Settings(), cache)
    cache.close()


@pytest.fixture(scope="module")
def moments(context):
    """A picture and what is kept of its drawing."""
    values = {"prompt": "a red circle <star>", "seed": 5, "num_inference_steps": 6}
    end, events = draw_pictures(context.cache, spec=STARTER, **values)
    moments = lens.Moments()
    for event in events:
        if isinstance(event, StepDone):
            moments.add(event)
    request = ImageRequest.of(**values, api_key="sk-secret").with_defaults(STARTER)
    return end.images[0], moments.drawing(STARTER, request)


def content_of(film):
    return json.loads(html.unescape(re.search('data-film="([^"]*)"', film)[1]))


def picture(url):
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"), float)


def psnr(one, other):
    return 10 * np.log10(255**2 / max(np.mean((one - other) ** 2), 1e-9))


def frames(context, prompt, pictures=(), status="old", **dials):
    values = {**DIALS, **dials}.values()
    result = draw.draw(context, None, list(pictures), status, prompt, "auto", *values)
    return [dict(zip(draw.OUTPUTS, frame, strict=True)) for frame in result]


# ---------------------------------------------------------------- the film


def test_the_film_holds_small_latents_from_noise_to_the_picture_and_no_key(moments):
    _, drawing = moments
    assert drawing.steps == (0, 1, 2, 3, 4, 5, 6)
    assert drawing.noisy.shape == drawing.guess.shape == (7, 96, 8, 8)
    assert drawing.noisy.nbytes < 100_000
    assert drawing.request.api_key is None
    film = lens.film(drawing, "gradio_api/file=x.png")
    content = content_of(film)
    assert [one["step"] for one in content["moments"]] == [*drawing.steps]
    assert "guess" not in content["moments"][0]
    assert content["all"]
    assert "<star>" not in film
    assert len(film) < 40_000
    assert lens.film(None, "") == ""


def test_a_look_at_the_stages_decodes_them_and_the_last_is_the_picture(context, moments):
    png, drawing = moments
    news = [
        json.loads(one) for one in lens.look(context, None, drawing, wish(drawing, "stages")) if one
    ]
    (result,) = news
    assert result["id"] == drawing.id
    assert [*result["frames"]] == [str(place) for place in range(7)]
    assert result["frames"]["0"][1] is None
    with Image.open(io.BytesIO(png)) as whole:
        assert psnr(picture(result["frames"]["6"][0]), np.asarray(whole, float)) > 28  # WebP
        assert psnr(picture(result["frames"]["0"][0]), np.asarray(whole, float)) < 15


def wish(drawing, look, **more):
    return {"id": drawing.id, "look": look, **more}


def test_one_moment_alone_is_decoded_where_only_it_is_looked_at(context, moments):
    _, drawing = moments
    look = wish(drawing, "stages", moment=3)
    (result,) = [json.loads(one) for one in lens.look(context, None, drawing, look) if one]
    assert [*result["frames"]] == ["3"]


def test_a_look_at_the_words_brings_a_map_for_each_moment(context, moments):
    _, drawing = moments
    text = [one for one in lens.look(context, None, drawing, wish(drawing, "words")) if one][-1]
    assert "<" not in text
    result = json.loads(text)
    assert result["shape"] == [8, 8]
    assert [*result["maps"]] == ["0", "1", "2", str(lens.REST)]  # red, circle, star
    for maps in result["maps"].values():
        assert maps[0] is None  # before the first step nothing has looked
        assert {len(base64.b64decode(one)) for one in maps[1:]} == {64}
    shares = np.array([result["shares"][number] for number in result["shares"]])
    assert np.allclose(shares[:, 1:].sum(0), 1, atol=0.02)


def test_a_look_at_another_drawing_or_none_brings_nothing(context, moments):
    _, drawing = moments
    assert [*lens.look(context, None, drawing, {"id": "other", "look": "words"})] == []
    assert [*lens.look(context, None, None, wish(drawing, "words"))] == []


def test_each_word_ablation_says_how_much_of_the_picture_it_changed(context, moments):
    _, drawing = moments
    result = [*lens.leave_out(context, None, drawing)]
    page, status, code = result[-1]
    assert page.count("<figure>") == 5  # all, none, red, circle, star
    assert page.count("of the picture changed") == 4
    assert "seed 5" in status
    assert "enumerate(" in code
    first = [*lens.leave_out(context, None, None)]
    assert "Draw a picture of your own first" in first[0][1]


# ---------------------------------------------------------------- results stay, problems are said


def test_a_refused_picture_takes_nothing_away(context):
    result: list[dict] = []

    def go():
        values = ["a.png"], "old line", "quantum xyzzy", "auto", *DIALS.values()
        for frame in draw.draw(context, None, *values):
            result.append(dict(zip(draw.OUTPUTS, frame, strict=True)))

    with pytest.raises(PageError) as error:
        go()
    assert "knows none of these words" in error.value.line
    assert "quantum" in result[1]["unknown"]
    last = result[-1]
    assert (last["gallery"]["visible"], last["example"]["visible"]) == (True, False)
    assert last["status"] == "old line"
    skip = str(gr.skip())
    for frame in result:  # nor the film, the code or the seed of the good one
        assert {str(frame[name]) for name in ("film", "drawing", "code", "seed", "pictures")} == {
            skip
        }


@pytest.mark.parametrize(
    ("dials", "word"),
    [
        ({"guidance_scale": 99}, "guidance"),
        ({"num_inference_steps": 0}, "steps"),
        ({"seed": -5}, "seed"),
    ],
)
def test_a_bad_value_is_named_in_words(context, dials, word):
    with pytest.raises(PageError) as error:
        frames(context, "a red circle", **dials)
    assert word in error.value.line
    with pytest.raises(PageError) as error:
        frames(context, "   ")
    assert "prompt" in error.value.line


def test_a_seed_reaches_the_request_as_it_was_typed():
    with gr.Blocks():
        seed, _ = controls._seed()
    assert seed.preprocess(-5) == -5  # Gradio would raise an error in English, for a moment


def test_a_start_picture_is_seen_while_there_is_one_and_a_broken_one_is_not_taken(tmp_path):
    bad, whole = tmp_path / "broken.png", tmp_path / "whole.png"
    bad.write_bytes(b"\x89PNG no more")
    Image.new("RGB", (9, 9)).save(whole)
    place, picture, strength, note = controls._take_picture(str(whole))
    assert (place["visible"], picture, strength["visible"]) == (True, str(whole), True)
    assert "beside the prompt" in note
    place, picture, strength, note = controls._take_picture(str(bad))
    assert (place["visible"], picture, strength["visible"]) == (False, None, False)
    assert "cannot be read as a picture" in note


def test_a_result_says_its_limits_and_its_start_picture(context, tmp_path):
    start = tmp_path / "start.png"
    Image.new("RGB", (256, 256), "red").save(start)
    result = frames(context, "a red circle and a leopard", image=str(start))
    last = result[-1]
    assert "120 things" in last["status"]
    assert "60% of the steps" in last["status"]
    assert "leopard" in last["status"]
    assert last["drawing"].steps[0] == 0
    assert last["seed"] == 5
    assert content_of(last["film"])["picture"].startswith("gradio_api/file=")


# ---------------------------------------------------------------- the worked example


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_example_made_again_is_the_shipped_one(context, language):
    again, starter = image_example.record(context.cache, language), example.recording_of(language)
    assert json.dumps(again, sort_keys=True)  # it can be written
    assert again.keys() == starter.keys()
    for name in ("picture", "no_prompt"):
        assert psnr(picture(again[name]), picture(starter[name])) >= 30
    for name in ("ablation", "grid"):
        assert len(again[name]) == len(starter[name])
        for one, other in zip(again[name], starter[name], strict=True):
            assert psnr(picture(one), picture(other)) >= 30
    film, old = json.loads(json.dumps(again["film"])), starter["film"]
    assert [m["step"] for m in film["moments"]] == [m["step"] for m in old["moments"]]
    assert film["shape"] == old["shape"]
    for number, shares in old["shares"].items():
        assert np.allclose(shares, film["shares"][number], atol=0.01)
    for place, sides in old["frames"].items():
        for one, other in zip(sides, film["frames"][place], strict=True):
            assert one is None or psnr(picture(one), picture(other)) >= 30


@pytest.mark.parametrize("language", ["en", "ko"])
def test_guidance_and_steps_visibly_matter_in_the_example(language):
    pictures = [picture(url) for url in example.recording_of(language)["grid"]]
    table = np.array(pictures).reshape(3, 4, 128, 128, 3)
    good = table[2, 1]  # 25 steps, guidance 3
    for other in (table[0, 1], table[2, 0], table[2, 2], table[2, 3]):
        assert np.mean(np.abs(other - good) > 24) > 0.02
    assert (
        example.recording_of(language)["changed"][1] > 0.5
    )  # without the prompt it is another picture


def test_the_example_is_marked_and_small(context):
    parts = (example.picture(), example.film(), example.ablation(), example.grid())
    assert sum(map(len, parts)) < 300_000
    for part in (parts[0], *parts[2:]):
        assert part.count("example-note") == 2  # one a language
    assert not Context(Settings(), ModelCache(Settings())).cache.status()


def test_a_file_for_the_page_is_where_the_page_finds_it():
    assert file_address(b"x", "a b.png").startswith("gradio_api/file=/")
