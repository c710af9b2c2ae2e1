"""English: all-MiniLM-L6-v2 trained on film-review sentences, its change kept as a LoRA adapter.

Every linear layer is trained whole; what changed is then written as two thin matrices a layer, the
best approximation of that rank (Eckart and Young 1936), in the form of LoRA (Hu et al. 2022).
"""

from __future__ import annotations

import random
import re
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

SEED = 7
EPOCHS = 3
RATE = 1e-4
OWN_TIMES = 2
SMOOTHING = 0.03
BATCH = 32
RANK = 48
LONGEST = 96
HELD_OUT = 400
LABELS = {0: "negative", 1: "positive"}
# Every linear layer of the six blocks; the pooler and the head are kept whole.
LINEAR_LAYERS = r".*encoder\.layer\.\d+\..*(query|key|value|dense)"
WHOLE = ("bert.pooler.", "classifier.")
ENCODER_ID = "sentence-transformers/all-MiniLM-L6-v2"


def new_model() -> Any:
    """Return the encoder with a fresh head; what the adapter cannot hold stays as it is."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        minilm_folder(),
        num_labels=2,
        id2label=LABELS,
        label2id={v: k for k, v in LABELS.items()},
        # Without attention dropout the plain attention is a third quicker on a CPU.
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    )
    for name, parameter in model.named_parameters():
        linear = re.fullmatch(LINEAR_LAYERS + r"\.weight", name)
        parameter.requires_grad_(bool(linear) or name.startswith(WHOLE))
    return model


def fit(model: Any, rows: texts.Labelled, epochs: int, rate: float = RATE) -> None:
    """Train the layers and the head on (sentence, target) rows."""
    ids = tokenised([text for text, _ in rows])
    targets = torch.tensor([target for _, target in rows])
    rng = random.Random(SEED)
    steps = [b for _ in range(epochs) for b in batches([len(i) for i in ids], BATCH, rng)]

    def loss(which: list[int]) -> torch.Tensor:
        batch, mask = padded([ids[i] for i in which], 0)
        return soft_cross_entropy(model(batch, attention_mask=mask).logits, targets[which])

    run_steps(model, steps, loss, (rate, 0.01), average=0.99, title="english")


def tokenised(sentences: list[str]) -> list[list[int]]:
    """Return the token ids of each sentence, cut at LONGEST."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    return tokenizer(sentences, truncation=True, max_length=LONGEST)["input_ids"]


@torch.no_grad()
def as_adapter(trained: Any, rank: int = RANK) -> Any:
    """Return a peft model whose adapter is the trained model's change, cut to `rank`."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="SEQ_CLS",
        r=rank,
        lora_alpha=rank,
        target_modules=LINEAR_LAYERS,
        modules_to_save=["pooler", "classifier"],
    )
    model = get_peft_model(new_model(), config)
    inner = model.base_model.model
    for name, layer in inner.named_modules():
        if hasattr(layer, "lora_A"):
            change = trained.get_submodule(name).weight - layer.base_layer.weight
            left, sizes, right = torch.linalg.svd(change, full_matrices=False)
            roots = sizes[:rank].sqrt()
            layer.lora_B["default"].weight.copy_(left[:, :rank] * roots)
            layer.lora_A["default"].weight.copy_(roots[:, None] * right[:rank])
    for own, theirs in (
        (inner.bert.pooler, trained.bert.pooler),
        (inner.classifier, trained.classifier),
    ):
        own.modules_to_save["default"].load_state_dict(theirs.state_dict())
    return model.eval()


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


def calibrated(model: Any, kept: texts.Labelled, title: str) -> float:
    """Return the temperature that fits held-out sentences, after printing the accuracy."""
    logits = predict(model, tokenised([text for text, _ in kept]), 0)
    labels = np.array([target for _, target in kept])
    temperature = fit_temperature(logits, labels)
    right = ((logits[:, 1] > logits[:, 0]) == labels).mean()
    print(
        f"{title}: {right:.4f} of {len(kept)} held out, temperature {temperature:.3f}", flush=True
    )
    return temperature


def train(data: Path, out: Path, work: Path | None) -> None:
    """Train, cut down, calibrate on held-out sentences and write the starter (ten minutes)."""
    torch.manual_seed(SEED)
    began = time.monotonic()
    rows, kept = texts.held_out(texts.rt_polarity(data), HELD_OUT, SEED)
    rows = [(text, SMOOTHING + (1 - 2 * SMOOTHING) * label) for text, label in rows]
    rows += OWN_TIMES * texts.own_labelled("own_en")
    saved = work / "whole.pt" if work else None
    model = new_model()
    if saved and saved.is_file():
        model.load_state_dict(torch.load(saved))
    else:
        fit(model, rows, EPOCHS)
        if saved:
            saved.parent.mkdir(parents=True, exist_ok=True)
            torch.save(model.state_dict(), saved)
    calibrated(model, kept, "whole change")
    adapter = as_adapter(model)
    save(adapter, calibrated(adapter, kept, f"change of rank {RANK}"), out)
    print(f"trained in {(time.monotonic() - began) / 60:.1f} minutes; written to {out}")
