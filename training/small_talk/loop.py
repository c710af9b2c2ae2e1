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
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from training.small_talk import batches
from training.small_talk.data import PERSONAS, Dialogues

SIDE_WEIGHT = 0.5  # of each side task: name the intent, and the persona, where the answer opens
SAVE_EVERY = 100  # steps
AVERAGE = 0.995  # of the moving average of the weights, which is what ships


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to train.

    Attributes:
        steps: Optimiser steps in all.
        rows: Rows of CONTEXT tokens a step.
        rate: Highest learning rate, after the warm-up.
        seed: For weights and data.
        bpe_dropout: Share of merges left out in what people write.
        compiled: Whether torch.compile is used (faster; needs a C++ compiler).
        bfloat16: Whether products are computed in bfloat16 (a quarter faster where the processor knows it).
    """

    steps: int
    rows: int = 8
    rate: float = 2e-3
    seed: int = 7
    bpe_dropout: float = 0.02
    compiled: bool = True
    bfloat16: bool = False


class Trainer:
    """A network with its optimiser, its side tasks and its place in the data.

    The side tasks tell the network early what to look for; their heads are thrown away after training.
    """

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
        width = network.config.hidden_size
        self.heads = nn.ModuleDict(
            {
                "intent": nn.Linear(width, len(dialogues.intents)),
                "persona": nn.Linear(width, len(PERSONAS)),
            }
        )
        parameters = [*network.named_parameters(), *self.heads.named_parameters()]
        matrices = [p for name, p in parameters if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in parameters if p.ndim != 2 or "embed" in name]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
            lr=plan.rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE))
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
        """Return the loss of a batch: the assistant's tokens, and the side tasks where an answer opens."""
        ids, segment = torch.from_numpy(rows.ids), torch.from_numpy(rows.segment)
        same = segment[:, :, None] == segment[:, None, :]
        mask = same.tril()[:, None]  # (rows, 1, CONTEXT, CONTEXT): its own conversation, no future
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.plan.bfloat16):
            states = self.body(
                input_ids=ids,
                attention_mask=mask,
                position_ids=torch.from_numpy(rows.position),
                use_cache=False,
            ).last_hidden_state.float()
        target = torch.from_numpy(rows.target)
        is_answer = target != batches.NOT_JUDGED
        loss = F.cross_entropy(self.network.lm_head(states[is_answer]), target[is_answer])
        for name, numbers in (("intent", rows.intent), ("persona", rows.persona)):
            number = torch.from_numpy(numbers)
            has_label = number != batches.NOT_JUDGED
            if has_label.any():
                guess = self.heads[name](states[has_label])
                loss = loss + SIDE_WEIGHT * F.cross_entropy(guess, number[has_label])
        return loss

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
        self.average.update_parameters(self.network)
        self.step += 1
        return loss.item()

    def save(self, path: Path) -> None:
        """Write a checkpoint; a break in the middle leaves the one before it."""
        part = path.with_suffix(".part")
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "heads": self.heads.state_dict(),
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
        self.average.load_state_dict(state["average"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.epoch, self.batch = state["place"]
        torch.set_rng_state(state["random"])


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
        step, total = trainer.step, trainer.plan.steps
        if step % 20 == 0 or step == total:
            each = (time.monotonic() - start) / (step - first)
            minutes = each * (total - step) / 60
            mean = sum(losses) / len(losses)
            log(
                f"step {step}/{total} epoch {trainer.epoch} loss {mean:.3f} "
                f"rate {trainer.rate():.5f} {each:.2f} s a step, {minutes:.0f} min left"
            )
            losses.clear()
        if step % SAVE_EVERY == 0 or step == total:
            trainer.save(checkpoint)
    trainer.network.eval()
