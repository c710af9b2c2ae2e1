"""Computes a step's gradients in two processes of one thread each.

On two cores that others use as well, two processes that meet once a step lose less time than two
threads that meet at every operation. The gradients are the same with one process or two: a batch
always has two parts, each with seeds of its own, and their gradients are added.
"""

from multiprocessing.connection import Connection
from typing import Protocol

import torch
from torch import multiprocessing as processes
from torch import nn

PARTS = 2


class Task(Protocol):
    """What is trained: picklable, so that the second process can have it."""

    def loss(self, model: nn.Module, step: int, part: int) -> torch.Tensor:
        """The loss of one part of a step's batch."""
        ...


def _gradients(task: Task, model: nn.Module, step: int, part: int) -> float:
    model.zero_grad(set_to_none=True)
    loss = task.loss(model, step, part) / PARTS
    loss.backward()
    return loss.item()


def _serve(task: Task, model: nn.Module, buffers: list[torch.Tensor], pipe: Connection) -> None:
    """The second process: a part of every step, until None comes."""
    torch.set_num_threads(1)
    model.train()
    try:
        while (step := pipe.recv()) is not None:
            loss = _gradients(task, model, step, 1)
            for buffer, parameter in zip(buffers, model.parameters(), strict=True):
                buffer.copy_(parameter.grad) if parameter.grad is not None else buffer.zero_()
            pipe.send(loss)
    except (EOFError, KeyboardInterrupt):
        return


class Pair:
    """A model and its two parts of every batch; `workers` is 1 or 2 processes."""

    def __init__(self, task: Task, model: nn.Module, workers: int) -> None:
        self._task, self._model, self._pipe = task, model, None
        torch.set_num_threads(1)
        if workers < 2:
            return
        model.share_memory()
        self._buffers = [torch.zeros_like(p).share_memory_() for p in model.parameters()]
        context = processes.get_context("spawn")
        self._pipe, other = context.Pipe()
        arguments = (task, model, self._buffers, other)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        other.close()

    def gradients(self, step: int) -> float:
        """Fills the parameters' gradients for a step; its loss."""
        if self._pipe:
            self._pipe.send(step)
            loss = _gradients(self._task, self._model, step, 0)
            loss += self._pipe.recv()
            others = self._buffers
        else:
            loss = _gradients(self._task, self._model, step, 1)
            others = [p.grad for p in self._model.parameters()]
            loss += _gradients(self._task, self._model, step, 0)
        for parameter, other in zip(self._model.parameters(), others, strict=True):
            if other is not None and parameter.requires_grad:
                parameter.grad = other.clone() if parameter.grad is None else parameter.grad + other
        return loss

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        """The optimiser's step, on both cores: the second process rests."""
        if self._pipe:
            torch.set_num_threads(2)
        optimiser.step()
        torch.set_num_threads(1)

    def close(self) -> None:
        """Ends the second process."""
        if self._pipe:
            self._pipe.send(None)
            self._process.join(10)
            self._pipe = None
