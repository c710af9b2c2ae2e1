"""Looking closer at a drawing: its stages decoded, where each word looked, and words left out."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from models.contract import Stop
from models.errors import InvalidInput, Stopped
from models.runtime.jobs import run
from models.tasks import CATALOG
from models.text_to_image.events import CellDone, GridDone, LatentsDecoded, StepDone, WordAttention
from models.text_to_image.recipe import python
from models.text_to_image.requests import (
    DecodeRequest,
    ImageRequest,
    LeaveOutRequest,
    WordAttentionRequest,
)
from models.text_to_image.vocabulary import drawable_words, leave_out
from models.text_to_image.word_attention import recording
from models.weights import sources
from tests import tiny
from tests.pictures import TINY, draw, load, open_png, psnr

STARTER = next(spec for spec in CATALOG if spec.id == "genlab/scenes")
PROMPT = "a large red circle on a blue background"


# ---------------------------------------------------------------- from noise to picture


def decode(cache, latents):
    data = np.concatenate(latents).astype(np.float16)
    request = DecodeRequest.of(data=data.tobytes(), shape=data.shape)
    return [e.images[0] for e in run(cache, STARTER, request) if isinstance(e, LatentsDecoded)]


def test_the_stages_start_at_pure_noise_and_end_in_the_picture_itself(cache):
    end, events = draw(cache, PROMPT, STARTER, num_inference_steps=25)
    steps = [e for e in events if isinstance(e, StepDone)]
    stages = [e for e in steps if e.noisy]
    assert [e.step for e in stages] == list(range(1, len(steps) + 1))
    assert [e.step for e in steps if e.start] == [1]
    noise = steps[0].start.latents
    assert noise.shape == (1, 96, 8, 8)
    assert abs(noise.mean()) < 0.1
    assert abs(noise.std() - 1) < 0.1
    generator = torch.Generator().manual_seed(7)
    same = torch.randn((1, 96, 8, 8), generator=generator).numpy()
    assert np.corrcoef(noise.ravel(), same.ravel())[0, 1] > 0.999
    first, *_, last = decode(cache, [noise, *(e.noisy.latents for e in stages)])
    assert psnr(last, end.images[0]) >= 45  # latents are kept in half precision
    assert psnr(first, end.images[0]) < 15
    (guess,) = decode(cache, [stages[-1].preview.latents])
    assert psnr(guess, end.images[0]) >= 30


def test_a_drawing_from_a_picture_starts_with_its_own_noise(cache):
    plain, _ = draw(cache, PROMPT, STARTER)
    values = {"image": plain.images[0], "strength": 0.4, "num_inference_steps": 10}
    _, events = draw(cache, PROMPT, STARTER, **values)
    starts = [e for e in events if isinstance(e, StepDone) and e.start]
    assert [e.step for e in starts] == [1]


def test_latents_of_another_model_are_refused_in_words(cache):
    data = np.zeros((1, 7, 8, 8), np.float16)
    request = DecodeRequest.of(data=data.tobytes(), shape=data.shape)
    with pytest.raises(InvalidInput) as error:
        list(run(cache, STARTER, request))
    assert error.value.code == "invalid_no_stages"
    with pytest.raises(InvalidInput):
        DecodeRequest.of(data=data.tobytes()[:-2], shape=data.shape)


# ---------------------------------------------------------------- where each word looked


def attention(cache, prompt=PROMPT, **values):
    request = WordAttentionRequest.of(prompt=prompt, seed=7, **values)
    return next(e for e in run(cache, STARTER, request) if isinstance(e, WordAttention))


def test_the_attention_of_every_word_is_that_of_diffusers_own_layers(cache):
    record = attention(cache, num_inference_steps=3)
    assert record.words == ("large", "red", "circle", "blue", "background")
    maps = record.maps()
    assert maps.shape == (3, 6, 8, 8)
    assert np.allclose(maps.sum(1), 1, atol=0.01)  # a place divides its attention among them

    engine = load(sources.STARTERS / "scenes", STARTER)
    pipe = engine._pipe
    tokens = pipe.tokenizer(PROMPT).input_ids
    place = tokens.index(pipe.tokenizer.convert_tokens_to_ids("circle</w>"))
    shares = []

    def look(layer, args, values):
        text = values["encoder_hidden_states"][-1:]
        query, key = (
            layer.head_to_batch_dim(x) for x in (layer.to_q(args[0][-1:]), layer.to_k(text))
        )
        shares.append(layer.get_attention_scores(query, key)[:, :, place].mean(0))

    hooks = [
        layer.register_forward_pre_hook(look, with_kwargs=True)
        for name, layer in pipe.unet.named_modules()
        if name.endswith("attn2")
    ]
    with torch.inference_mode():
        pipe(
            PROMPT,
            num_inference_steps=3,
            guidance_scale=3.0,
            generator=torch.Generator().manual_seed(7),
        )
    for hook in hooks:
        hook.remove()
    each = len(hooks)
    mean = [
        float(torch.stack([s.mean() for s in shares[k * each : k * each + each]]).mean())
        for k in range(3)
    ]
    assert np.allclose(maps[:, 2].mean((1, 2)), mean, atol=0.003)


def test_recording_is_off_unless_it_is_looked_at_and_leaves_the_picture_as_it_was(cache):
    before, _ = draw(cache, PROMPT, STARTER, num_inference_steps=3)
    attention(cache, num_inference_steps=3)
    after, _ = draw(cache, PROMPT, STARTER, num_inference_steps=3)
    assert before.images == after.images
    with cache.lease(STARTER, Stop(), lambda _: None) as lease:
        unet = lease.engine._pipe.unet
        kinds = {type(p).__name__ for p in unet.attn_processors.values()}
        assert kinds == {"AttnProcessor2_0"}
        with recording(unet):
            assert "_RecordingProcessor" in {
                type(p).__name__ for p in unet.attn_processors.values()
            }
        assert {type(p).__name__ for p in unet.attn_processors.values()} == kinds
        assert not unet._forward_hooks
        assert not unet._forward_pre_hooks


def test_the_word_of_a_thing_looks_at_the_thing(cache):
    prompt = "a snowman and a tree"
    record = attention(cache, prompt, num_inference_steps=12)
    maps = dict(zip(record.words, np.moveaxis(record.maps(), 1, 0)[:-1], strict=True))
    for word, half in (("snowman", slice(0, 4)), ("tree", slice(4, 8))):
        whole = maps[word].mean(0)
        assert whole[:, half].sum() > 0.8 * whole.sum(), word


def test_it_stops_within_a_step_and_says_it_of_a_model_without_such_layers(tiny_starters, tmp_path):
    engine = load(tiny_starters / "tiny")
    request = WordAttentionRequest.of(prompt="a red circle", seed=1, num_inference_steps=50)
    stop = Stop()
    stream = engine.stream(request, stop)
    assert isinstance(next(stream), StepDone)
    stop.set()
    with pytest.raises(Stopped):
        list(stream)
    engine._denoiser._pipe.tokenizer = None
    with pytest.raises(InvalidInput) as error:
        list(engine.stream(request, Stop()))
    assert error.value.code == "invalid_no_attention"


# ---------------------------------------------------------------- words left out


def test_words_are_left_out_one_at_a_time():
    prompt = "a red  circle, please, on blue"
    spans = drawable_words(prompt)
    assert [prompt[a:b] for a, b in spans] == ["red", "circle,", "blue"]
    assert leave_out(prompt, spans[0]) == "a circle, please, on blue"
    assert drawable_words("the of a") == []
    assert len(drawable_words("sun " * 40)) == 12
    korean = "파란 배경에 큰 빨간 원"
    words = [korean[a:b] for a, b in drawable_words(korean)]
    assert words == ["파란", "배경에", "큰", "빨간", "원"]


def test_each_picture_without_a_word_is_that_prompts_own_picture(cache):
    request = LeaveOutRequest.of(prompt="a red circle", seed=7, num_inference_steps=3)
    assert request.prompts == ("a red circle", "", "a circle", "a red")
    assert request.words == ("red", "circle")
    events = list(run(cache, STARTER, request))
    whole = next(e for e in events if isinstance(e, GridDone))
    assert [cell.index for cell in whole.cells] == [0, 1, 2, 3]
    assert len([e for e in events if isinstance(e, CellDone)]) == 4
    for cell, prompt in zip(whole.cells, request.prompts, strict=True):
        if prompt:
            alone, _ = draw(cache, prompt, STARTER, num_inference_steps=3)
            assert alone.images[0] == cell.image
    assert len({cell.image for cell in whole.cells}) == 4


def test_the_recipe_draws_the_pictures_without_a_word(cache, tiny_starters, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "STARTERS", tiny_starters)
    request = LeaveOutRequest.of(prompt="red circle", seed=7).with_defaults(TINY)
    events = list(run(cache, TINY, request))
    code = python(TINY, request, events[-1].placement).replace("models/starter", str(tiny_starters))
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=250)
    for cell in next(e for e in events if isinstance(e, GridDone)).cells:
        with Image.open(tmp_path / f"cell-{cell.index + 1}.png") as again:
            assert psnr(again, cell.image) >= 50


def test_pictures_with_other_prompts_are_not_drawn_together(tmp_path):
    engine = load(tiny.stable_diffusion(tmp_path / "one"))
    request = LeaveOutRequest.of(prompt="red circle", seed=1).with_defaults(TINY)
    singles = request.singles()
    assert engine._denoiser.next_batch(singles, [0, 1, 2, 3], 8) == [0]
    assert open_png(draw_alone(engine, singles[0])).size
    assert engine._denoiser.next_batch([singles[0]] * 3, [0, 1, 2], 8) == [0, 1, 2]


def draw_alone(engine, request):
    events = list(engine.stream(ImageRequest.of(prompt=request.prompt, seed=1), Stop()))
    return events[-1].images[0]
