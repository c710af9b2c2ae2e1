"""The training loop of the chat starter: resumable, seeded, with the time left."""

from __future__ import annotations

import copy
import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from training.small_talk import batches
from training.small_talk.data import EVERYDAY, PERSONAS, Dialogues

SIDE_WEIGHT = 0.5  # of each side task: name the intent, and the persona, where the answer opens
SAVE_EVERY = 100  # steps
AVERAGE, NEAR_AVERAGE = 0.995, 0.99  # of the moving average of the weights, which is what ships
# Where a trained model learns only when to speak of distress, it is asked so many everyday sentences before an epoch, and learns
# those where the chance of the answer of distress is above MISTAKEN; a question of distress with one below SURE comes again.
QUESTIONS, MISTAKEN, SURE = 12_000, 0.005, 0.9


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
        anchor: Weight of staying near the weights it starts from in what it says of all but distress; 0 trains freely.
    """

    steps: int
    rows: int = 8
    rate: float = 2e-3
    seed: int = 7
    bpe_dropout: float = 0.02
    compiled: bool = True
    bfloat16: bool = False
    anchor: float = 0.0


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
        decay = NEAR_AVERAGE if plan.anchor else AVERAGE
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self.step, self.epoch, self.batch = 0, 0, 0
        self.body: Callable[..., object] = network.model
        self.start = copy.deepcopy(network).eval() if plan.anchor else network
        self.start_body: Callable[..., object] = self.start.model
        if plan.compiled:
            self.body = torch.compile(network.model)
            self.start_body = torch.compile(self.start.model)

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
            inputs = {
                "input_ids": ids,
                "attention_mask": mask,
                "position_ids": torch.from_numpy(rows.position),
                "use_cache": False,
            }
            states = self.body(**inputs).last_hidden_state.float()
        target = torch.from_numpy(rows.target)
        is_answer = target != batches.NOT_JUDGED
        words = self.network.lm_head(states[is_answer])
        loss = F.cross_entropy(words, target[is_answer])
        if self.plan.anchor:
            # No side tasks: their fresh heads would shake what is learned.
            with torch.no_grad():
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.plan.bfloat16):
                    before = self.start_body(**inputs).last_hidden_state.float()
                before = self.start.lm_head(before[is_answer]).log_softmax(-1)
            near = torch.from_numpy(~rows.anew)[is_answer]
            # Where it was wrong there is nothing to stay near to.
            near &= before.gather(1, target[is_answer][:, None])[:, 0] > math.log(0.05)
            apart = F.kl_div(words.log_softmax(-1), before, reduction="none", log_target=True)
            return loss + self.plan.anchor * (apart.sum(-1) * near).mean()
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
                self.with_hard_ones() if self.plan.anchor else self.dialogues,
                self.tokenizer,
                self.plan.rows,
                self.plan.seed + 1000 * self.epoch,
                self.plan.bpe_dropout,
                on_distress=bool(self.plan.anchor),
            )
            for number, batch in enumerate(rows):
                if number >= self.batch:
                    self.batch += 1
                    yield batch
            self.epoch, self.batch = self.epoch + 1, 0

    def with_hard_ones(self) -> Dialogues:
        """Return the dialogues with what the averaged weights get wrong now: distress missed, everyday words taken for it.

        Training that resumes in an epoch asks anew, with the weights of that moment.
        """
        random = Random(self.plan.seed + 1000 * self.epoch)
        intents = list(self.dialogues.intents)
        answers = {one.language: one.answers["friendly"] for one in intents if one.is_grave}
        for number, intent in enumerate(intents):
            questions: list[str] = []
            if intent.is_grave:
                questions = [
                    batches.vary(q, intent.language, random, whole=True) for q in intent.training
                ]
            elif intent.name == EVERYDAY:
                questions = random.sample(intent.pool, min(QUESTIONS, len(intent.pool)))
                questions += intent.training
            if questions and intent.language in answers:
                chances = self.chances(questions, answers[intent.language])
                hard = [
                    question
                    for question, chance in zip(questions, chances, strict=True)
                    if (chance < SURE if intent.is_grave else chance > MISTAKEN)
                ]
                intents[number] = replace(intent, training=(*intent.training, *hard, *hard))
        return Dialogues(tuple(intents))

    @torch.inference_mode()
    def chances(self, questions: list[str], answer: str, first: int = 8) -> list[float]:
        """Return how likely the averaged weights begin so to answer each question, by its first tokens; no system prompt."""
        network, words = self.average.module.eval(), self.tokenizer
        opening = words.backend_tokenizer.encode(answer).ids[:first]
        rows = [
            words.apply_chat_template(
                [{"role": "user", "content": question}], add_generation_prompt=True
            )["input_ids"]
            + opening
            for question in questions
        ]
        chances = [0.0] * len(rows)
        order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
        for begin in range(0, len(order), 128):
            part = order[begin : begin + 128]
            longest = len(rows[part[-1]])
            ids = torch.tensor([rows[n] + [0] * (longest - len(rows[n])) for n in part])
            states = network.model(input_ids=ids, use_cache=False).last_hidden_state
            ends = torch.tensor([len(rows[n]) for n in part])
            places = ends[:, None] - 1 - len(opening) + torch.arange(len(opening))
            next_words = network.lm_head(states[torch.arange(len(part))[:, None], places])
            each = next_words.log_softmax(-1)[:, list(range(len(opening))), opening]
            for number, chance in zip(part, each.sum(-1).exp().tolist(), strict=True):
                chances[number] = chance
        return chances

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
