"""The traced step of a tiny Llama gives transformers' own bits, and the same answers."""

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from models.chat.decoder_program import DecoderProgram
from models.chat.events import ChatDone, TextDelta
from models.chat.requests import ChatRequest
from models.chat.transformers_engine import TransformersChat
from models.contract import Placement, Stop
from models.select import find
from models.settings import Settings
from models.tasks import CHAT
from models.weights.sources import folder
from tests import tiny

torch.set_num_threads(1)  # as the jobs have it: tiny models differ in bits on more

STARTER = find(CHAT, "genlab/small-talk")


@pytest.fixture(scope="module")
def starter():
    path = folder(STARTER, Settings(), Stop(), lambda _: None)
    placement = Placement("cpu", "float32", "no_gpu", 1)
    return TransformersChat.load(STARTER, path, placement, Settings())


@torch.inference_mode()
def test_every_step_has_the_bits_of_the_model(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny.llama(tmp_path / "tiny")).eval()
    assert DecoderProgram.fits(model)
    program = DecoderProgram(model)
    first = torch.tensor([[5, 6, 7, 8]])
    own, other = (model(first, use_cache=True).past_key_values for _ in range(2))
    for token in range(10, 40):
        ids = torch.tensor([[token]])
        expected = model(ids, past_key_values=own, use_cache=True).logits[:, -1]
        assert program.takes(other)
        assert torch.equal(program(ids, other), expected)
    for mine, theirs in zip(other.layers, own.layers, strict=True):
        assert torch.equal(mine.keys, theirs.keys)
        assert torch.equal(mine.values, theirs.values)
    assert other.get_seq_length() == own.get_seq_length() == 34


def test_the_starter_answers_the_same_with_and_without(starter, monkeypatch):
    assert starter._program is not None
    requests = [
        ChatRequest.of(
            messages=[{"role": "user", "content": text}],
            seed=seed,
            temperature=temperature,
            max_new_tokens=24,
            num_return_sequences=2,
            alternatives=3,
        )
        for text, seed, temperature in (("Hello!", 1, 0.8), ("안녕하세요!", 2, 1.3), ("Hi", 3, 0))
    ]

    def answers():
        kinds = (TextDelta, ChatDone)
        events = [list(starter.stream(request, Stop())) for request in requests]
        return [[event for event in own if isinstance(event, kinds)] for own in events]

    monkeypatch.setattr(starter, "_kv_cache", None)
    with_program = answers()
    monkeypatch.setattr(starter, "_program", None)
    assert answers() == with_program


def test_it_takes_no_cache_that_forgets_and_no_other_kind_of_model(tmp_path):
    assert not DecoderProgram.takes(None)
    assert not DecoderProgram.takes(DynamicCache())  # of a model that has read nothing yet
    model = AutoModelForCausalLM.from_pretrained(tiny.llama(tmp_path / "tiny"))
    assert not DecoderProgram.fits(model.to(torch.bfloat16))
