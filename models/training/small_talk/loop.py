"""The training loop of the chat starter: resumable, seeded, with the time left."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from models.training.small_talk import batches
from models.training.small_talk.data import Dialogues

INTENT_WEIGHT = 0.5  # of the side task: name the intent where the answer opens
DROPOUT = 0.1
SAVE_EVERY = 100  # steps


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to train.

    Attributes:
        steps: Optimiser steps in all.
        rows: Rows of CONTEXT tokens a step.
        rate: Highest learning rate, after the warm-up.
        seed: For weights, data and dropout.
        bpe_dropout: Share of merges left out in what people write.
        compiled: Whether torch.compile is used (twice as fast; needs a C++ compiler).
    """

    steps: int
    rows: int = 8
    rate: float = 1.5e-3
    seed: int = 7
    bpe_dropout: float = 0.08
    compiled: bool = True


class Trainer:
    """A network with its optimiser, its side task and its place in the data."""

    def __init__(
        self,
        network: LlamaForCausalLM,
        tokenizer: PreTrainedTokenizerFast,
        dialogues: Dialogues,
        plan: Plan,
    ) -> None:
        torch.manual_seed(plan.seed)
        self.network, self.tokenizer, self.dialogues, self.plan = (
            network,
            tokenizer,
            dialogues,
            plan,
        )
        self.intent_head = nn.Linear(network.config.hidden_size, len(dialogues.intents))
        add_dropout(network)
        named = [*network.named_parameters(), *self.intent_head.named_parameters()]
        matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in named if p.ndim != 2 or "embed" in name]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
            lr=plan.rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.step, self.epoch, self.batch = 0, 0, 0
        self.body: Callable[..., object] = network.model
        if plan.compiled:
            self.body = torch.compile(network.model)

    def rate(self) -> float:
        """Return the learning rate of this step: warm-up, then a cosine to nearly nothing."""
        warm = min(1.0, (self.step + 1) / min(200, max(1, self.plan.steps // 5)))
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, self.step / self.plan.steps))
        return self.plan.rate * warm * (0.02 + 0.98 * cosine)

    def loss(self, rows: batches.Rows) -> torch.Tensor:
        """Return the loss of a batch: the assistant's tokens, and the intent where an answer opens."""
        ids, segment = torch.from_numpy(rows.ids), torch.from_numpy(rows.segment)
        same = segment[:, :, None] == segment[:, None, :]
        mask = same.tril()[:, None]  # (rows, 1, CONTEXT, CONTEXT): its own conversation, no future
        hidden = self.body(
            input_ids=ids,
            attention_mask=mask,
            position_ids=torch.from_numpy(rows.position),
            use_cache=False,
        ).last_hidden_state
        target, intent = torch.from_numpy(rows.target), torch.from_numpy(rows.intent)
        said, named = target != batches.NOT_JUDGED, intent != batches.NOT_JUDGED
        spoken = F.cross_entropy(self.network.lm_head(hidden[said]), target[said])
        if not named.any():
            return spoken
        meant = F.cross_entropy(self.intent_head(hidden[named]), intent[named])
        return spoken + INTENT_WEIGHT * meant

    def stream(self) -> Iterator[batches.Rows]:
        """Yield batches without end, from the place in the data where training stands."""
        while True:
            rows = batches.epoch(
                self.dialogues,
                self.tokenizer,
                self.plan.rows,
                self.plan.seed + 1000 * self.epoch,
                self.plan.bpe_dropout,
            )
            for number, batch in enumerate(rows):
                if number >= self.batch:
                    self.batch += 1
                    yield batch
            self.epoch, self.batch = self.epoch + 1, 0

    def update(self, rows: batches.Rows) -> float:
        """Take one optimiser step and return its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        loss = self.loss(rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return loss.item()

    def save(self, path: Path) -> None:
        """Write a checkpoint; a break in the middle leaves the one before it."""
        part = path.with_suffix(".part")
        state = {
            "network": self.network.state_dict(),
            "head": self.intent_head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "place": (self.step, self.epoch, self.batch),
            "random": torch.get_rng_state(),
        }
        torch.save(state, part)
        shutil.move(part, path)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.intent_head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.epoch, self.batch = state["place"]
        torch.set_rng_state(state["random"])


def add_dropout(network: LlamaForCausalLM) -> None:
    """Drop parts of each block's output in training, which Llama itself does not do."""

    def drop(module: nn.Module, _: object, output: object) -> object:
        if isinstance(output, tuple):
            return (F.dropout(output[0], DROPOUT, module.training), *output[1:])
        return F.dropout(output, DROPOUT, module.training)

    network.model.embed_tokens.register_forward_hook(drop)
    for layer in network.model.layers:
        layer.self_attn.register_forward_hook(drop)
        layer.mlp.register_forward_hook(drop)


def train(trainer: Trainer, checkpoint: Path, log: Callable[[str], None] = print) -> None:
    """Train to the end of the plan, from the checkpoint if there is one."""
    if checkpoint.is_file():
        trainer.resume(checkpoint)
        log(f"resumed at step {trainer.step}")
    trainer.network.train()
    first, start, losses = trainer.step, time.monotonic(), []
    batch_stream = trainer.stream()
    while trainer.step < trainer.plan.steps:
        losses.append(trainer.update(next(batch_stream)))
        done, total = trainer.step, trainer.plan.steps
        if done % 20 == 0 or done == total:
            each = (time.monotonic() - start) / (done - first)
            left = each * (total - done) / 60
            mean = sum(losses) / len(losses)
            log(
                f"step {done}/{total} epoch {trainer.epoch} loss {mean:.3f} "
                f"rate {trainer.rate():.5f} {each:.2f} s a step, {left:.0f} min left"
            )
            losses.clear()
        if done % SAVE_EVERY == 0 or done == total:
            trainer.save(checkpoint)
    trainer.network.eval()
