"""Muon, the optimiser for the inner matrices: momentum whose directions are all made equally strong.

Method: Keller Jordan and others, 2024, https://kellerjordan.github.io/posts/muon. torch.optim.Muon does the same in
bfloat16, which a CPU without that unit computes far too slowly; here it is float32, and matrices of one shape at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, from the source above
ITERATIONS = 5


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Return matrices of shape (count, rows, columns) with their singular values brought near 1."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for two-dimensional parameters, scaled so that AdamW's learning rates fit.

    Args:
        matrices: Parameters of shape (rows, columns).
        lr: Learning rate.
        momentum: Share of the past gradients kept.
        weight_decay: Decoupled decay.
    """

    def __init__(
        self,
        matrices: Iterable[torch.nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.05,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step from the gradients at hand."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes[matrix.shape].append(matrix)
            for shape, matrices in shapes.items():
                pushes = [self.push(matrix, group["momentum"]) for matrix in matrices]
                scale = 0.2 * max(shape) ** 0.5
                for matrix, direction in zip(matrices, orthogonal(torch.stack(pushes)), strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(direction, alpha=-group["lr"] * scale)

    def push(self, matrix: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        """Return the gradient with its (Nesterov) momentum, and keep the momentum."""
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        state["momentum"].lerp_(matrix.grad, 1 - momentum)
        return matrix.grad.lerp(state["momentum"], momentum)
