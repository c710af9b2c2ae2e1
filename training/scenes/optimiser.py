"""Muon for matrices and convolutions, AdamW for the rest, behind one optimizer.

Muon (Keller Jordan, 2024, https://kellerjordan.github.io/posts/muon/) steps along the momentum
made orthogonal by five Newton-Schulz rounds. A step costs about a tenth more than AdamW's.
"""

from collections.abc import Iterable

import torch
from torch import nn

ROUNDS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix with its singular values brought near 1.

    The rounds run on the square of the shorter side, which costs 2.5 times less than on the matrix:
    each round's factor commutes with that square.
    """
    a, b, c = COEFFICIENTS
    is_tall = matrix.size(0) > matrix.size(1)
    x = matrix.T if is_tall else matrix
    x = x / (x.norm() + 1e-7)
    gram, product = x @ x.T, None
    for round_ in range(ROUNDS):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        product = factor if product is None else factor @ product
        if round_ + 1 < ROUNDS:
            gram = factor @ gram @ factor
    x = product @ x
    return x.T if is_tall else x


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two dimensions or more inside the network, AdamW for all others."""

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        learning_rate: float,
        adam_rate: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        groups = [
            {"params": list(matrices), "lr": learning_rate, "base": learning_rate, "muon": True},
            {"params": list(others), "lr": adam_rate, "base": adam_rate, "muon": False},
        ]
        super().__init__(groups, {"weight_decay": weight_decay, "momentum": momentum})
        self._slow: dict[nn.Parameter, float] = {}

    def slow_down(self, part: nn.Module, share: float) -> None:
        """Gives the parameters of a part of the model this share of the learning rate."""
        self._slow |= dict.fromkeys(part.parameters(), share)

    def set_share(self, share: float) -> None:
        """Sets every learning rate to this share of its base."""
        for group in self.param_groups:
            group["lr"] = group["base"] * share

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step from the gradients at hand."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if group["weight_decay"]:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                (self._muon if group["muon"] else self._adam)(parameter, group)

    def _muon(self, parameter: nn.Parameter, group: dict) -> None:
        state, gradient = self.state[parameter], parameter.grad
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        buffer = state["momentum"]
        buffer.lerp_(gradient, 1 - group["momentum"])
        direction = gradient.lerp(buffer, group["momentum"])
        flat = direction.reshape(direction.size(0), -1)
        scale = max(1.0, flat.size(0) / flat.size(1)) ** 0.5
        step = orthogonal(flat).view_as(direction) * scale
        parameter.add_(step, alpha=-group["lr"] * self._slow.get(parameter, 1.0))

    def _adam(self, parameter: nn.Parameter, group: dict) -> None:
        state, gradient = self.state[parameter], parameter.grad
        if not state:
            state["first"], state["second"] = (torch.zeros_like(gradient) for _ in range(2))
            state["count"] = torch.zeros(())
        state["count"] += 1
        count = state["count"].item()
        state["first"].lerp_(gradient, 0.1)
        state["second"].lerp_(gradient.square(), 0.01)
        rate = group["lr"] * self._slow.get(parameter, 1.0)
        size = (state["second"] / (1 - 0.99**count)).sqrt_().add_(1e-8)
        parameter.addcdiv_(state["first"], size, value=-rate / (1 - 0.9**count))


def new_optimiser(model: nn.Module, learning_rate: float, adam_rate: float) -> Muon:
    """Muon for the model's inner matrices; AdamW for edges, embeddings, norms and biases."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        edge = "conv_in" in name or "conv_out" in name or "embedding" in name.split(".")[-2:]
        inner = parameter.ndim >= 2 and not edge and min(parameter.shape[:2]) > 3
        (matrices if inner else others).append(parameter)
    return Muon(matrices, others, learning_rate, adam_rate)
