"""English: all-MiniLM-L6-v2 trained on film-review sentences, its change kept as a LoRA adapter.

Every linear layer is trained whole, three times in another order, and the weights are averaged (Wortsman
et al., Model soups, 2022). What changed is then written as two thin matrices a layer in the form of
LoRA (Hu et al. 2022): the ranks and matrices that keep most of what the change does to the answer.
"""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.weights.packages import MINILM, package_folder
from training.sentiment import data as texts
from training.sentiment.calibration import fit_temperature
from training.sentiment.loop import pad_rows, predict, random_batches, soft_cross_entropy
from training.sentiment.loop import train as run_steps

SEED = 7  # of the split and of the head's start
ORDERS = (7, 8, 9)  # seeds of the trainings whose weights are averaged
EPOCHS = 3
RATE = 1e-4
OWN_TIMES = 2
SMOOTHING = 0.03
BATCH = 32
RANK = 39.3  # mean over the layers
EFFECT = 600  # sentences on which the cut is to do what the whole change does
MAX_TOKENS = 96
HELD_OUT = 400
LABELS = {0: "negative", 1: "positive"}
# Every linear layer of the six blocks and the pooler; the head is kept whole.
LINEAR_LAYERS = r".*(encoder\.layer\.\d+\..*(query|key|value|dense)|pooler\.dense)"
HEAD = "classifier."
ENCODER_ID = "sentence-transformers/all-MiniLM-L6-v2"


def new_model() -> Any:
    """Return the encoder with a fresh head; what the adapter cannot hold stays as it is."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        package_folder(MINILM),
        num_labels=2,
        id2label=LABELS,
        label2id={v: k for k, v in LABELS.items()},
        # Without attention dropout the plain attention is a third quicker on a CPU.
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    )
    for name, parameter in model.named_parameters():
        linear = re.fullmatch(LINEAR_LAYERS + r"\.weight", name)
        parameter.requires_grad_(bool(linear) or name.startswith(HEAD))
    return model


def fit(model: Any, rows: texts.Rows, epochs: int, rate: float = RATE, order: int = SEED) -> None:
    """Train the layers and the head on (sentence, target) rows, in an order set by a seed."""
    ids = tokenize([text for text, _ in rows])
    targets = torch.tensor([target for _, target in rows])
    torch.manual_seed(order)
    rng = random.Random(order)
    steps = [b for _ in range(epochs) for b in random_batches([len(i) for i in ids], BATCH, rng)]

    def loss(which: list[int]) -> torch.Tensor:
        batch, mask = pad_rows([ids[i] for i in which], 0)
        return soft_cross_entropy(model(batch, attention_mask=mask).logits, targets[which])

    run_steps(model, steps, loss, (rate, 0.01), average=0.99, title="english")


def tokenize(sentences: list[str]) -> list[list[int]]:
    """Return the token ids of each sentence, cut at MAX_TOKENS."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(package_folder(MINILM))
    return tokenizer(sentences, truncation=True, max_length=MAX_TOKENS)["input_ids"]


def moments(model: Any, sentences: list[str]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return for each layer the mean of x x' over its inputs x and of g g' over its gradients g.

    g is the gradient of the logits' difference with respect to the layer's output; both float64.
    """
    layers = {n: m for n, m in model.named_modules() if re.fullmatch(LINEAR_LAYERS, n)}
    sums: dict[str, list[Any]] = {name: [0, 0, 0] for name in layers}

    def note(name: str) -> Any:
        def forward(_: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
            x = inputs[0].detach().flatten(0, -2).double()

            def backward(gradient: torch.Tensor) -> None:
                g = gradient.flatten(0, -2).double()
                x_, g_, n = sums[name]
                active = g.abs().sum(1) > 0  # padding has no gradient
                sums[name] = [x_ + x[active].T @ x[active], g_ + g.T @ g, n + int(active.sum())]

            output.register_hook(backward)

        return forward

    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    ids = tokenize(sentences)
    for start in range(0, len(ids), 16):
        batch, mask = pad_rows(ids[start : start + 16], 0)
        logits = model(batch, attention_mask=mask).logits
        (logits[:, 1] - logits[:, 0]).sum().backward()
    for hook in hooks:
        hook.remove()
    model.zero_grad()
    return {name: (x / n, g / n) for name, (x, g, n) in sums.items()}


def root(moment: torch.Tensor, damping: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the symmetric root of a moment and its inverse, after adding a share of its mean."""
    mean = moment.diagonal().mean()
    sizes, basis = torch.linalg.eigh(moment + damping * mean * torch.eye(len(moment)).double())
    return (basis * sizes.sqrt()) @ basis.T, (basis / sizes.sqrt()) @ basis.T


def factors(
    change: torch.Tensor, inputs: torch.Tensor, outputs: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return B (out, n), effects (n,) and A (n, in): B A is the change, its largest effects first.

    An effect is what a direction of the change does to the answer, by Kronecker-factored curvature
    (Martens and Grosse 2015): the SVD of root(outputs) x change x root(inputs).
    """
    into, back_in = root(inputs, 1e-3)
    out_of, back_out = root(outputs, 1e-2)
    left, effects, right = torch.linalg.svd(out_of @ change.double() @ into, full_matrices=False)
    roots = effects.sqrt()
    return (
        ((back_out @ left) * roots).float(),
        effects,
        (roots[:, None] * (right @ back_in)).float(),
    )


def ranks(parts: dict[str, tuple[torch.Tensor, ...]], mean: float) -> dict[str, int]:
    """Return a rank for each layer: higher where it has more effect, in all as many numbers as `mean`."""
    cost = {name: len(wide) + narrow.shape[1] for name, (wide, _, narrow) in parts.items()}
    gains = [
        (float(effect) ** 2 / cost[name], name)
        for name, part in parts.items()
        for effect in part[1]
    ]
    left, result = mean * sum(cost.values()), dict.fromkeys(parts, 1)
    left -= sum(cost.values())
    counts = dict.fromkeys(parts, 0)
    for _, name in sorted(gains, reverse=True):
        counts[name] += 1
        if counts[name] > result[name] and left >= cost[name]:
            result[name] += 1
            left -= cost[name]
    return result


def as_adapter(change: Any, sentences: list[str], rank: float = RANK) -> Any:
    """Return a peft model whose adapter is the trained model's change, cut to a mean rank.

    Args:
        change: The model with its whole change.
        sentences: The cut keeps the effect of the change on these.
        rank: Mean over the layers, weighted by their size.
    """
    from peft import LoraConfig, get_peft_model

    start, products = new_model(), moments(change, sentences)
    with torch.no_grad():
        parts = {
            name: factors(
                change.get_submodule(name).weight - start.get_submodule(name).weight, *both
            )
            for name, both in products.items()
        }
        rank_of = ranks(parts, rank)
        config = LoraConfig(
            task_type="SEQ_CLS",
            target_modules=LINEAR_LAYERS,
            modules_to_save=["classifier"],
            rank_pattern=rank_of,
            alpha_pattern=rank_of,
        )
        model = get_peft_model(start, config)
        for name, (wide, _, narrow) in parts.items():
            layer = model.base_model.model.get_submodule(name)
            layer.lora_B["default"].weight.copy_(wide[:, : rank_of[name]])
            layer.lora_A["default"].weight.copy_(narrow[: rank_of[name]])
        head = model.base_model.model.classifier.modules_to_save["default"]
        head.load_state_dict(change.classifier.state_dict())
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


def calibrate(model: Any, dev: texts.Rows, title: str) -> float:
    """Return the temperature that fits held-out sentences, after printing the accuracy."""
    logits = predict(model, tokenize([text for text, _ in dev]), 0)
    labels = np.array([target for _, target in dev])
    temperature = fit_temperature(logits, labels)
    right = ((logits[:, 1] > logits[:, 0]) == labels).mean()
    print(f"{title}: {right:.4f} of {len(dev)} held out, temperature {temperature:.3f}", flush=True)
    return temperature


def average_orders(rows: texts.Rows, work: Path | None) -> Any:
    """Return the mean of one training for each order; those in the folder `work` are not repeated."""
    states: list[dict[str, torch.Tensor]] = []
    for order in ORDERS:
        torch.manual_seed(SEED)
        model = new_model()
        path = work / f"whole_{order}.pt" if work else None
        if path and path.is_file():
            model.load_state_dict(torch.load(path))
        else:
            fit(model, rows, EPOCHS, order=order)
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                torch.save(model.state_dict(), path)
        states.append(model.state_dict())
    model.load_state_dict({n: torch.stack([s[n] for s in states]).mean(dim=0) for n in states[0]})
    return model


def train(data: Path, out: Path, work: Path | None) -> None:
    """Train, average, cut down, calibrate on held-out sentences and write the starter (20 minutes)."""
    start = time.monotonic()
    rows, dev = texts.split_off(texts.rt_polarity(data), HELD_OUT, SEED)
    rows = [(text, SMOOTHING + (1 - 2 * SMOOTHING) * label) for text, label in rows]
    rows += OWN_TIMES * texts.own_rows("own_en")
    model = average_orders(rows, work)
    calibrate(model, dev, "whole change")
    adapter = as_adapter(model, [text for text, _ in rows[:EFFECT]])
    save(adapter, calibrate(adapter, dev, f"change of mean rank {RANK}"), out)
    print(f"trained in {(time.monotonic() - start) / 60:.1f} minutes; written to {out}")
