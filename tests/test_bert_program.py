"""Several texts in one traced pass without padding: each gets the states that the BERT gives it."""

import copy
import random

import numpy as np
import pytest
import torch
from transformers import (
    BertForSequenceClassification,
    BertModel,
    RobertaConfig,
    RobertaModel,
)

from models.bert_program import BertProgram, pad_right
from models.contract import Stop
from models.runtime.cache import ModelCache
from models.select import find
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, SENTIMENT
from models.torch_tools import by_onednn, in_int8
from tests import tiny

ALIKE = (
    1e-4  # the tiny model's weights are ten times as large as trained ones, and so is the rounding
)


@pytest.fixture(params=["AVX2", "AVX512"], autouse=True)
def capability(request, monkeypatch):
    """The products of torch's own library and those of oneDNN, whatever this processor has."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)


@pytest.fixture
def bert():
    torch.manual_seed(0)
    model = BertModel(tiny.bert_config()).eval()
    by_onednn(model)
    return model


@torch.inference_mode()
def test_each_text_has_the_states_that_the_bert_gives_it(bert):
    assert BertProgram.fits(bert)
    program = BertProgram(bert)
    draw = random.Random(0)
    for _ in range(20):
        lengths = [draw.randint(1, 32) for _ in range(draw.randint(1, 9))]
        texts = [[draw.randrange(bert.config.vocab_size) for _ in range(n)] for n in lengths]
        ids, mask = pad_right(texts)
        assert ids.shape == mask.shape == (len(texts), max(lengths))
        states = program(ids, mask)
        for row, text in zip(states, texts, strict=True):
            alone = bert(torch.tensor([text])).last_hidden_state[0]
            torch.testing.assert_close(row[: len(text)], alone, atol=ALIKE, rtol=0)


@torch.inference_mode()
def test_with_a_classifier_it_gives_the_logits_that_the_model_gives_each_text_alone():
    torch.manual_seed(0)
    model = BertForSequenceClassification(tiny.bert_config(num_labels=3)).eval()
    by_onednn(model)
    program = BertProgram(model.bert, model.classifier)
    draw = random.Random(0)
    for count in (1, 2, 7):
        texts = [
            [draw.randrange(model.config.vocab_size) for _ in range(draw.randint(1, 32))]
            for _ in range(count)
        ]
        logits = program(*pad_right(texts))
        alone = torch.cat([model(torch.tensor([text])).logits for text in texts])
        torch.testing.assert_close(logits, alone, atol=ALIKE, rtol=0)


@torch.inference_mode()
def test_padding_on_the_left_is_read_as_the_bert_reads_it(bert):
    ids = torch.tensor([[0, 0, 5, 6], [7, 8, 9, 10]])
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    expected = bert(input_ids=ids, attention_mask=mask).last_hidden_state
    there = mask.bool()
    states = BertProgram(bert)(ids, mask)
    torch.testing.assert_close(states[there], expected[there], atol=ALIKE, rtol=0)


def test_it_takes_no_other_kind_of_model(bert):
    other = RobertaModel(RobertaConfig(vocab_size=99, hidden_size=32, num_attention_heads=2))
    by_onednn(other.eval())
    with_int8 = BertModel(tiny.bert_config()).eval()
    in_int8(with_int8)
    decoder = BertModel(tiny.bert_config(is_decoder=True)).eval()
    by_onednn(decoder)
    half, training = copy.deepcopy(bert).bfloat16(), copy.deepcopy(bert).train()
    for model in (other, with_int8, decoder, half, training, None):
        assert not BertProgram.fits(model)


@pytest.mark.parametrize(
    ("task", "model"),
    [
        (SENTIMENT, "genlab/sentiment-ko"),
        (SENTIMENT, "genlab/sentiment-en"),
        (SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2"),
    ],
)
def test_the_models_that_ship_go_by_it(task, model):
    cache = ModelCache(Settings(device="cpu", idle_minutes=0))
    with cache.lease(find(task, model), Stop(), lambda _: None) as lease:
        assert lease.engine._program is not None
    cache.close()


def test_a_sentence_alone_goes_the_librarys_way_and_several_by_the_program(monkeypatch):
    cache = ModelCache(Settings(device="cpu", idle_minutes=0))
    spec = find(SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2")
    sentences = ["A quiet film.", "The ending comes from nowhere, and late."]
    with cache.lease(spec, Stop(), lambda _: None) as lease:
        engine, rows = lease.engine, []
        call = BertProgram.__call__
        monkeypatch.setattr(
            BertProgram, "__call__", lambda *args: rows.append(len(args[1])) or call(*args)
        )
        alone = [engine.vectors([sentence])[0] for sentence in sentences]
        assert rows == []
        torch.testing.assert_close(
            torch.tensor(engine.vectors(sentences)),
            torch.tensor(np.stack(alone)),
            atol=1e-5,
            rtol=0,
        )
        assert rows == [2]
    cache.close()
