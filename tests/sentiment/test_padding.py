"""One text and many give the same scores, whatever token the configuration calls padding."""

import json
import threading

import numpy as np
import pytest
import torch

from models.select import find
from models.sentiment.classifier import TextClassifier, class_names, is_multi_label
from models.sentiment.transformers_engine import load_classifier
from models.tasks import SENTIMENT
from tests import tiny

TEXTS = [
    "The film was good.",
    "bad",
    "Not bad, and not boring! A very good film.",
    "the king rules the land and the queen rules the cat.",
    "!!!",
    "dog",
]


def gpt2(folder, **fields):
    """A GPT-2 classifier over the tiny vocabulary: it reads the last token of a text."""
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=tiny.bert_config().vocab_size,
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=32,
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=None,
        **tiny.label_options(("negative", "positive")),
    )
    return alter(tiny.save_bert(GPT2ForSequenceClassification(config), folder), **fields)


def xlnet(folder):
    """An XLNet classifier: it takes the last place, padding or not."""
    from transformers import XLNetConfig, XLNetForSequenceClassification

    torch.manual_seed(0)
    config = XLNetConfig(
        vocab_size=tiny.bert_config().vocab_size,
        d_model=32,
        n_layer=2,
        n_head=2,
        d_inner=64,
        initializer_range=0.5,
        **tiny.label_options(("negative", "positive")),
    )
    return tiny.save_bert(XLNetForSequenceClassification(config), folder)


def alter(folder, file="config.json", **fields):
    """A folder with other values in a JSON file; None takes one out."""
    text = json.loads((folder / file).read_text()) | fields
    text = {key: value for key, value in text.items() if value is not None}
    (folder / file).write_text(json.dumps(text))
    return folder


def load_engine(folder):
    model, tokenizer, limit = load_classifier(
        find(SENTIMENT, "genlab/sentiment-en"), folder, torch.float32
    )
    return TextClassifier(model, tokenizer, limit)


def differences(classifier):
    """The largest difference between the scores of a text alone and among others."""
    stop = threading.Event()
    (rows,) = classifier.score_rows(TEXTS, stop)
    alone = [dict(next(classifier.score_text(text, stop)).scores) for text in TEXTS]
    one = np.array([[scores[label] for label in classifier.labels] for scores in alone])
    assert np.ptp(one[:, 0]) > 0.01, "the texts differ"
    return np.abs(one - rows.scores).max()


CASES = {
    "the configuration has none": lambda folder: gpt2(folder, pad_token_id=None),
    "the configuration names a word": lambda folder: gpt2(folder, pad_token_id=13),
    "the configuration names a sign that texts end with": lambda folder: gpt2(
        folder, pad_token_id=61
    ),
    "the tokenizer has none": lambda folder: alter(
        gpt2(folder, pad_token_id=None), "tokenizer_config.json", pad_token=None
    ),
    "RoBERTa, another than the tokenizer's": lambda folder: alter(
        tiny.other_classifier(folder, "roberta"), pad_token_id=1
    ),
    "BERT without": lambda folder: alter(tiny.classifier(folder), pad_token_id=None),
    "the last place is read": xlnet,
}


@pytest.mark.parametrize("name", CASES)
def test_a_text_scores_alone_as_among_others(tmp_path, name):
    classifier = load_engine(CASES[name](tmp_path / "model"))
    assert differences(classifier) < 1e-4
    if "tokenizer" not in name:
        assert classifier.model.config.pad_token_id == classifier.tokenizer.pad_token_id == 0


def test_without_padding_each_row_is_scored_by_itself(tmp_path):
    classifier = load_engine(gpt2(tmp_path / "model", pad_token_id=None))
    classifier.tokenizer.pad_token = None
    own = TextClassifier(classifier.model, classifier.tokenizer, classifier.limit)
    pieces = [own.encode(text) for text in TEXTS]
    batches = list(own.score_batches(pieces, threading.Event()))
    assert sorted(map(len, (indexes for indexes, _ in batches))) == [1] * len(TEXTS)


def test_a_padding_token_that_the_model_has_no_row_for_is_none(tmp_path):
    classifier = load_engine(gpt2(tmp_path / "model", pad_token_id=None))
    classifier.tokenizer.add_special_tokens({"pad_token": "<new>"})
    own = TextClassifier(classifier.model, classifier.tokenizer, classifier.limit)
    assert differences(own) < 1e-4


def test_classes_are_named_by_their_numbers(tmp_path):
    from transformers import AutoConfig

    def names(**fields):
        folder = alter(tiny.classifier(tmp_path / "model"), **fields)
        return class_names(AutoConfig.from_pretrained(folder))

    assert names(id2label={"1": "good", "0": "bad"}) == ["bad", "good"]
    assert names(id2label={"0": 0, "1": 1}) == ["0", "1"]
    assert names(id2label={"0": "x", "1": "x"}) == ["x", "x (1)"]
    folder = alter(
        tiny.classifier(tmp_path / "three", ("joy", "anger", "fear")),
        id2label=None,
        num_labels=None,
    )
    assert load_engine(folder).labels == ["joy", "anger", "fear"]


def test_the_scores_of_several_labels_are_their_own(tmp_path):
    many = {"problem_type": "multi_label_classification"}
    folder = tiny.classifier(tmp_path / "model", ("joy", "anger", "fear"), **many)
    classifier = load_engine(alter(folder, id2label={"2": "fear", "0": "joy", "1": "anger"}))
    assert classifier.labels == ["joy", "anger", "fear"]
    assert differences(classifier) < 1e-4
    (rows,) = classifier.score_rows(TEXTS, threading.Event())
    assert rows.multi_label
    assert np.abs(rows.scores.sum(axis=1) - 1).max() > 0.05


@pytest.mark.parametrize(
    ("fields", "several"),
    [
        ({}, False),
        ({"function_to_apply": "sigmoid"}, True),
        ({"problem_type": "multi_label_classification"}, True),
        (
            {
                "problem_type": "single_label_classification",
                "function_to_apply": "sigmoid",
            },
            False,
        ),
    ],
)
def test_a_sigmoid_is_applied_where_the_configuration_says_so(fields, several):
    assert is_multi_label(tiny.bert_config(**fields)) is several
