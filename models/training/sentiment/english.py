"""English: all-MiniLM-L6-v2 trained on film-review sentences, its change kept as a LoRA adapter.

Every linear layer is trained whole, three times in another order, and the weights are averaged (Wortsman
et al., Model soups, 2022). What changed is then written as two thin matrices a layer in the form of
LoRA (Hu et al. 2022): of that rank the best for the inputs that the layer gets.
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

SEED = 7  # of the split and of the head's start
ORDERS = (7, 8, 9)  # seeds of the trainings whose weights are averaged
EPOCHS = 3
RATE = 1e-4
OWN_TIMES = 2
SMOOTHING = 0.03
BATCH = 32
RANK = 30
EFFECT = 600  # sentences on which the cut is to do what the whole change does
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


def fit(
    model: Any, rows: texts.Labelled, epochs: int, rate: float = RATE, order: int = SEED
) -> None:
    """Train the layers and the head on (sentence, target) rows, in an order set by a seed."""
    ids = tokenised([text for text, _ in rows])
    targets = torch.tensor([target for _, target in rows])
    torch.manual_seed(order)
    rng = random.Random(order)
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
def input_moments(model: Any, sentences: list[str]) -> dict[str, torch.Tensor]:
    """Return X'X of what each linear layer gets as its input X, float64, shape (inputs, inputs)."""
    moments: dict[str, torch.Tensor] = {}

    def note(name: str) -> Any:
        def add(_: Any, inputs: tuple[torch.Tensor], __: torch.Tensor) -> None:
            rows = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
            moments[name] = moments.get(name, torch.zeros(())) + rows.T @ rows

        return add

    layers = [(n, m) for n, m in model.named_modules() if re.fullmatch(LINEAR_LAYERS, n)]
    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers]
    predict(model, tokenised(sentences), 0, size=16)
    for hook in hooks:
        hook.remove()
    return moments


def thin(change: torch.Tensor, moment: torch.Tensor, rank: int) -> tuple[torch.Tensor, ...]:
    """Return B (out, rank) and A (rank, in) whose product does most nearly what `change` does.

    Nearly by its effect on the layer's inputs, not by its entries: the SVD of change x root(moment).
    """
    moment = moment / moment.diagonal().mean()
    sizes, basis = torch.linalg.eigh(moment + 1e-3 * torch.eye(len(moment), dtype=moment.dtype))
    root, back = (basis * sizes.sqrt()) @ basis.T, (basis / sizes.sqrt()) @ basis.T
    left, sizes, right = torch.linalg.svd(change.double() @ root, full_matrices=False)
    roots = sizes[:rank].sqrt()
    return (left[:, :rank] * roots).float(), ((roots[:, None] * right[:rank]) @ back).float()


@torch.no_grad()
def as_adapter(trained: Any, sentences: list[str], rank: int = RANK) -> Any:
    """Return a peft model whose adapter is the trained model's change, cut to `rank`.

    Args:
        trained: The model with its whole change.
        sentences: What the cut is to keep the effect on.
        rank: Of each layer's change.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="SEQ_CLS",
        r=rank,
        lora_alpha=rank,
        target_modules=LINEAR_LAYERS,
        modules_to_save=["pooler", "classifier"],
    )
    moments = input_moments(trained, sentences)
    model = get_peft_model(new_model(), config)
    inner = model.base_model.model
    for name, layer in inner.named_modules():
        if hasattr(layer, "lora_A"):
            change = trained.get_submodule(name).weight - layer.base_layer.weight
            wide, narrow = thin(change, moments[name], rank)
            layer.lora_B["default"].weight.copy_(wide)
            layer.lora_A["default"].weight.copy_(narrow)
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


def averaged(rows: texts.Labelled, work: Path | None) -> Any:
    """Return the model with the mean weights of one training an order; finished ones are in `work`."""
    states: list[dict[str, torch.Tensor]] = []
    for order in ORDERS:
        torch.manual_seed(SEED)
        model = new_model()
        saved = work / f"whole_{order}.pt" if work else None
        if saved and saved.is_file():
            model.load_state_dict(torch.load(saved))
        else:
            fit(model, rows, EPOCHS, order=order)
            if saved:
                saved.parent.mkdir(parents=True, exist_ok=True)
                torch.save(model.state_dict(), saved)
        states.append(model.state_dict())
    model.load_state_dict({n: torch.stack([s[n] for s in states]).mean(dim=0) for n in states[0]})
    return model


def train(data: Path, out: Path, work: Path | None) -> None:
    """Train, average, cut down, calibrate on held-out sentences and write the starter (20 minutes)."""
    began = time.monotonic()
    rows, kept = texts.held_out(texts.rt_polarity(data), HELD_OUT, SEED)
    rows = [(text, SMOOTHING + (1 - 2 * SMOOTHING) * label) for text, label in rows]
    rows += OWN_TIMES * texts.own_labelled("own_en")
    model = averaged(rows, work)
    calibrated(model, kept, "whole change")
    adapter = as_adapter(model, [text for text, _ in rows[:EFFECT]])
    save(adapter, calibrated(adapter, kept, f"change of rank {RANK}"), out)
    print(f"trained in {(time.monotonic() - began) / 60:.1f} minutes; written to {out}")
