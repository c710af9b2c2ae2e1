"""Korean: a three-layer BERT with its own tokenizer, from nothing but film reviews and chats.

Masked-language pretraining on the text, then training on the stars softened by an n-gram teacher
(Hinton et al. 2015), with BPE dropout (Provilkov et al. 2020) and without some of the spaces, as
people write.
"""

from __future__ import annotations

import csv
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.corpora import require
from training.sentiment import data as texts
from training.sentiment.calibration import fit_temperature
from training.sentiment.loop import pad_rows, predict, random_batches, soft_cross_entropy
from training.sentiment.loop import train as run_steps
from training.sentiment.ngrams import teacher_probabilities

SEED = 11
VOCABULARY = 8000
MAX_TOKENS = 128
BATCH = 64
PRETRAIN_EPOCHS = 2
# Epochs, highest learning rate and dropout of the hidden states; BPE dropout stays all along.
ROUNDS = ((2, 6e-4, 0.1), (2, 5e-4, 0.0))
HELD_OUT = 3000
OWN_TIMES = 6
TEACHER_SHARE = 0.3
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, CLS, SEP, MASK = 0, 2, 3, 4
LABELS = {0: "negative", 1: "positive"}


def new_tokenizer(lines: list[str], size: int = VOCABULARY) -> Any:
    """Return a BPE tokenizer trained on the lines; long runs as in ㅋㅋㅋㅋ are cut to two."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    runs = [normalizers.Replace(Regex(f"{c}{{3,}}"), c.strip("\\") * 2) for c in RUNS]
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase(), *runs])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits()]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, limit_alphabet=2500, show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


RUNS = ["ㅋ", "ㅎ", "ㅠ", "ㅜ", "ㅡ", "!", r"\?", r"\.", "~", r"\^", "♥", "★", "-", ";"]


def new_config(size: int) -> Any:
    """Return the shape of the model."""
    from transformers import BertConfig

    return BertConfig(
        vocab_size=size,
        hidden_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=MAX_TOKENS,
        type_vocab_size=1,
        num_labels=2,
        id2label=LABELS,
        label2id={v: k for k, v in LABELS.items()},
        pad_token_id=PAD,
        # Without attention dropout the plain attention is a third quicker on a CPU.
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
        classifier_dropout=0.1,
    )


def encode(tokenizer: Any, lines: list[str], rng: random.Random | None = None) -> list[list[int]]:
    """Return token ids; with an rng, one line in ten loses its spaces first."""
    if rng is not None:
        lines = [line.replace(" ", "") if rng.random() < 0.1 else line for line in lines]
    return [e.ids for e in tokenizer.encode_batch(lines)]


def mask_tokens(ids: torch.Tensor, attention: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide 15 % of the tokens (8 of 10 as [MASK], 1 of 10 as another); return ids, and which are hidden.

    Source: Devlin et al., BERT, 2019. Both results have the shape of `ids`; the second is boolean.
    """
    candidates = (attention == 1) & (ids != CLS) & (ids != SEP)
    masks = candidates & (torch.rand(ids.shape) < 0.15)
    fate = torch.rand(ids.shape)
    out = torch.where(masks & (fate < 0.8), MASK, ids)
    other = torch.randint(len(SPECIAL), int(ids.max()) + 1, ids.shape)
    return torch.where(masks & (fate >= 0.9), other, out), masks


def pretrain(tokenizer: Any, config: Any, lines: list[str], epochs: int) -> dict[str, Any]:
    """Train a masked language model on the lines and return its encoder's weights."""
    from transformers import BertForMaskedLM

    model = BertForMaskedLM(config)
    rng = random.Random(SEED)
    tokenizer.model.dropout = 0.05

    def loss(which: list[int]) -> torch.Tensor:
        ids, attention = pad_rows(encode(tokenizer, [lines[i] for i in which], rng), PAD)
        inputs, masks = mask_tokens(ids, attention)
        states = model.bert(inputs, attention_mask=attention).last_hidden_state
        return torch.nn.functional.cross_entropy(model.cls(states[masks]).float(), ids[masks])

    lengths = [len(line) for line in lines]
    steps = [b for _ in range(epochs) for b in random_batches(lengths, BATCH, rng)]
    run_steps(model, steps, loss, (1.2e-3, 0.01), title="pretraining")
    tokenizer.model.dropout = None
    return model.bert.state_dict()


def fit(model: Any, tokenizer: Any, rows: texts.Rows, epochs: int, rate: float = 6e-4) -> None:
    """Train the classifier on (review, target) rows."""
    rng = random.Random(SEED + 1)
    targets = torch.tensor([target for _, target in rows], dtype=torch.float32)
    tokenizer.model.dropout = 0.1

    def loss(which: list[int]) -> torch.Tensor:
        ids, attention = pad_rows(encode(tokenizer, [rows[i][0] for i in which], rng), PAD)
        return soft_cross_entropy(model(ids, attention_mask=attention).logits, targets[which])

    lengths = [len(text) for text, _ in rows]
    steps = [b for _ in range(epochs) for b in random_batches(lengths, BATCH, rng)]
    run_steps(model, steps, loss, (rate, 0.01), average=0.999, title="reviews")
    tokenizer.model.dropout = None


def save(model: Any, tokenizer: Any, temperature: float, out: Path) -> None:
    """Write a plain transformers folder in fp16, the temperature folded into the head."""
    from transformers import PreTrainedTokenizerFast

    with torch.no_grad():
        model.classifier.weight.div_(temperature)
        model.classifier.bias.div_(temperature)
    model.half().save_pretrained(out)
    model.float()
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True))
    pieces = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_TOKENS,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in names.items()},
    )
    pieces.save_pretrained(out)
    # Written without line breaks it takes half as much.
    pieces.backend_tokenizer.save(str(out / "tokenizer.json"), pretty=False)


def chat_lines(data: Path) -> list[str]:
    """Return everyday Korean sentences without labels, for the pretraining alone."""
    with require(data, "songys").open(encoding="utf-8", newline="") as file:
        return [row[part] for row in csv.DictReader(file) for part in ("Q", "A")]


def soften(rows: texts.Rows) -> texts.Rows:
    """Return the rows with targets moved toward those of a teacher that was not trained on them."""
    teacher = teacher_probabilities(rows)
    right = ((teacher >= 0.5) == (np.array([y for _, y in rows]) >= 0.5)).mean()
    print(f"teacher, rows it was not trained on: {right:.4f} of {len(rows)}", flush=True)
    pairs = zip(rows, teacher, strict=True)
    return [(x, (1 - TEACHER_SHARE) * y + TEACHER_SHARE * float(t)) for (x, y), t in pairs]


def train_rounds(model: Any, tokenizer: Any, rows: texts.Rows, work: Path | None) -> None:
    """Train the classifier in rounds and leave the mean of their results in it.

    A round with a file in `work` is not repeated.
    """
    states: list[dict[str, torch.Tensor]] = []
    softer: texts.Rows = []
    for number, (epochs, rate, dropout) in enumerate(ROUNDS, 1):
        path = work / f"round_{number}.pt" if work else None
        if path and path.is_file():
            model.load_state_dict(torch.load(path))
        else:
            softer = softer or soften(rows) + OWN_TIMES * texts.own_rows("own_ko")
            for name, module in model.bert.named_modules():
                if isinstance(module, torch.nn.Dropout) and "attention.self" not in name:
                    module.p = dropout
            fit(model, tokenizer, softer, epochs, rate)
            if path:
                torch.save(model.state_dict(), path)
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    means = {name: torch.stack([s[name] for s in states]).mean(dim=0) for name in states[0]}
    model.load_state_dict(means)


def train(data: Path, out: Path, work: Path | None) -> None:
    """Train, calibrate on held-out reviews and write the starter; `work` allows to resume."""
    from tokenizers import Tokenizer
    from transformers import BertForSequenceClassification

    torch.manual_seed(SEED)
    start = time.monotonic()
    if work:
        work.mkdir(parents=True, exist_ok=True)
    rows, dev = texts.split_off(texts.nsmc(data, "train"), HELD_OUT, SEED)
    lines = [text for text, _ in rows] + chat_lines(data)
    early = work / "pretrained.pt" if work else None
    if work and early and early.is_file():
        tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
        config, encoder = new_config(tokenizer.get_vocab_size()), torch.load(early)
    else:
        tokenizer = new_tokenizer(lines)
        config = new_config(tokenizer.get_vocab_size())
        encoder = pretrain(tokenizer, config, lines, PRETRAIN_EPOCHS)
        if work and early:
            tokenizer.save(str(work / "tokenizer.json"))
            torch.save(encoder, early)
    model = BertForSequenceClassification(config)
    model.bert.load_state_dict(encoder, strict=False)
    train_rounds(model, tokenizer, rows, work)
    logits = predict(model, encode(tokenizer, [text for text, _ in dev]), PAD)
    labels = np.array([target for _, target in dev])
    temperature = fit_temperature(logits, labels)
    print(f"held-out accuracy {((logits[:, 1] > logits[:, 0]) == labels).mean():.4f} of {HELD_OUT}")
    print(f"temperature {temperature:.3f}")
    save(model, tokenizer, temperature, out)
    print(f"trained in {(time.monotonic() - start) / 60:.1f} minutes; written to {out}")
