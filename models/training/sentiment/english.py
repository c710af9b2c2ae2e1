"""English: a LoRA adapter and a head on all-MiniLM-L6-v2 (Hu et al., LoRA, ICLR 2022)."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.minilm import minilm_folder
from models.training.sentiment import data as texts
from models.training.sentiment.calibration import fit_temperature
from models.training.sentiment.loop import batches, padded, predict, soft_cross_entropy
from models.training.sentiment.loop import train as run_steps
from models.training.sentiment.reviews import review_sentences, surest

SEED = 7
FIRST_EPOCHS = 4
EPOCHS = 3
POOL = 16000
KEPT_EACH = 4000
OWN_TIMES = 2
SMOOTHING = 0.03
BATCH = 32
RANK = 32
LONGEST = 96
HELD_OUT = 400
LABELS = {0: "negative", 1: "positive"}
# Every linear layer of the six blocks; the pooler and the head are trained whole.
LINEAR_LAYERS = r".*encoder\.layer\.\d+\..*(query|key|value|dense)"
ENCODER_ID = "sentence-transformers/all-MiniLM-L6-v2"


def new_model() -> Any:
    """Return the encoder with fresh adapters and a fresh head."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    base = AutoModelForSequenceClassification.from_pretrained(
        minilm_folder(),
        num_labels=2,
        id2label=LABELS,
        label2id={v: k for k, v in LABELS.items()},
        # Without attention dropout the plain attention is a third quicker on a CPU.
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    )
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=RANK,
        lora_alpha=2 * RANK,
        lora_dropout=0.1,
        target_modules=LINEAR_LAYERS,
        modules_to_save=["pooler", "classifier"],
    )
    return get_peft_model(base, config)


def fit(model: Any, rows: texts.Labelled, epochs: int, rate: float = 5e-4) -> None:
    """Train the adapter and head on (sentence, target) rows."""
    ids = tokenised([text for text, _ in rows])
    targets = torch.tensor([target for _, target in rows])
    rng = random.Random(SEED)
    steps = [b for _ in range(epochs) for b in batches([len(i) for i in ids], BATCH, rng)]

    def loss(which: list[int]) -> torch.Tensor:
        batch, mask = padded([ids[i] for i in which], 0)
        return soft_cross_entropy(model(batch, attention_mask=mask).logits, targets[which])

    run_steps(model, steps, loss, (rate, 0.01), average=0.995, title="english")


def tokenised(sentences: list[str]) -> list[list[int]]:
    """Return the token ids of each sentence, cut at LONGEST."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    return tokenizer(sentences, truncation=True, max_length=LONGEST)["input_ids"]


def save(model: Any, temperature: float, out: Path) -> None:
    """Write adapter, head and config in fp16, the temperature folded into the head."""
    head = model.base_model.model.classifier.modules_to_save["default"]
    with torch.no_grad():
        head.weight.div_(temperature)
        head.bias.div_(temperature)
    # The folder of this machine's package must not stand in a file that ships.
    model.peft_config["default"].base_model_name_or_path = ENCODER_ID
    # The vocabulary is the encoder's: without this peft asks the hub whether it is.
    model.half().save_pretrained(out, save_embedding_layers=False)
    model.base_model.model.config.save_pretrained(out)
    model.float()


def margins_and_temperature(model: Any, kept: texts.Labelled) -> tuple[np.ndarray, float]:
    """Return held-out log-odds of positive, shape (n,), and the temperature that calibrates them."""
    logits = predict(model, tokenised([text for text, _ in kept]), 0)
    labels = np.array([target for _, target in kept])
    temperature = fit_temperature(logits, labels)
    margins = logits[:, 1] - logits[:, 0]
    right = ((margins > 0) == labels).mean()
    print(
        f"held-out accuracy {right:.4f} of {len(kept)}, temperature {temperature:.3f}", flush=True
    )
    return margins, temperature


def self_labelled(data: Path, rows: texts.Labelled, kept: texts.Labelled) -> texts.Labelled:
    """Return sentences of whole reviews, labelled by a first model trained on `rows`."""
    first = new_model()
    fit(first, rows, FIRST_EPOCHS)
    _, temperature = margins_and_temperature(first, kept)
    pool = review_sentences(data, POOL, SEED)
    logits = predict(first, tokenised([text for text, _ in pool]), 0)
    extra = surest(pool, (logits[:, 1] - logits[:, 0]) / temperature, KEPT_EACH)
    print(f"{len(extra)} of {len(pool)} review sentences kept", flush=True)
    return extra


def train(data: Path, out: Path, work: Path | None) -> None:
    """Train, calibrate on held-out sentences and write the starter (about 20 minutes)."""
    torch.manual_seed(SEED)
    began = time.monotonic()
    rows, kept = texts.held_out(texts.rt_polarity(data), HELD_OUT, SEED)
    rows = [(text, SMOOTHING + (1 - 2 * SMOOTHING) * label) for text, label in rows]
    rows += OWN_TIMES * texts.own_labelled("own_en")
    saved = work / "extra.json" if work else None
    if saved and saved.is_file():
        extra = [(text, target) for text, target in json.loads(saved.read_text())]
    else:
        extra = self_labelled(data, rows, kept)
        if work and saved:
            work.mkdir(parents=True, exist_ok=True)
            saved.write_text(json.dumps(extra))
    model = new_model()
    fit(model, rows + extra, EPOCHS)
    _, temperature = margins_and_temperature(model, kept)
    save(model, temperature, out)
    print(f"trained in {(time.monotonic() - began) / 60:.1f} minutes; written to {out}")
