"""What engines on torch share: loading without code or pickles, clear errors, faster linear layers."""

import copy
import json
import platform
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.ao.nn.quantized.dynamic import Linear as Int8Linear

from models.contract import ModelSpec, Placement
from models.errors import Damaged, ModelError, NotFound, Refused
from models.weights.sources import damaged_starter

LONGEST_WINDOW = 4096  # tokens looked at together, however much more a model says it takes
USUAL_LIMIT = 512  # of a model that does not say how much it takes


@contextmanager
def loading(spec: ModelSpec, folder: Path, *needs: str) -> Iterator[None]:
    """Turn an error inside the with block into a ModelError that says what went wrong.

    Args:
        spec: the model being loaded.
        folder: where its files are.
        *needs: files that must be there, or a starter is damaged.

    Raises:
        Damaged: a file is missing or cannot be read.
        Refused: it wants to run code of its own (refused_code), or has pickled weights only
            (refused_pickle).
        NotFound: the folder holds no model for this task (not_found_task).
    """
    transformers.logging.set_verbosity_error()  # the engines say themselves what is missing
    transformers.logging.disable_progress_bar()
    missing = [name for name in needs if not (folder / name).is_file()]
    if missing and spec.starter:
        raise damaged_starter(spec.name, missing[0])
    if not list(folder.glob("*.safetensors")):
        raise Refused("refused_pickle", model=spec.label)
    try:
        with warnings.catch_warnings():  # of the libraries among themselves
            warnings.simplefilter("ignore", FutureWarning)
            yield
    except (ModelError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        bad_file = broken_file(folder)
        if bad_file and spec.starter:
            raise damaged_starter(spec.name, bad_file) from error
        if bad_file:
            raise Damaged("damaged_download", model=spec.label, file=bad_file) from error
        if "trust_remote_code" in str(error):
            raise Refused("refused_code", model=spec.label) from error
        if "Unrecognized" in str(error):  # a configuration of no text model, or of another kind
            raise NotFound("not_found_task", model=spec.label) from error
        raise


def broken_file(folder: Path) -> str | None:
    """The first JSON or safetensors file in a folder or below that cannot be read; None if all can."""
    for path in sorted(folder.rglob("*.json")):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return path.relative_to(folder).as_posix()
    for path in sorted(folder.rglob("*.safetensors")):
        try:
            with safe_open(path, "pt") as weights:
                weights.keys()
        except (SafetensorError, OSError):
            return path.relative_to(folder).as_posix()
    return None


def torch_dtype(placement: Placement) -> torch.dtype:
    """The torch dtype of a placement."""
    return getattr(torch, placement.dtype)


def token_limit(model: Any, tokenizer: Any) -> int:
    """How many tokens, special ones included, the model takes at once.

    The smallest of what the tokenizer says, what the configuration says, and the size of the table
    of positions (RoBERTa's first rows, up to the padding's, are not for positions).
    """
    limits = [tokenizer.model_max_length, LONGEST_WINDOW]
    own_limit = getattr(model.config, "max_position_embeddings", None)
    limits.append(own_limit if own_limit and own_limit > 0 else USUAL_LIMIT)
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - first)
    return min(limits)


def in_turn(tokenizer: Any) -> Callable[[str], list[int]]:
    """Let one thread at a time use a tokenizer: a fast one holds the padding and limit of its newest call.

    All its ways in (`tokenizer(...)`, `tokenize`, `encode`) come through `_encode_plus`; diffusers uses two of them.

    Returns:
        The token ids of one text, uncut and with the special ones, as `tokenizer(text)` gives them. That gives even
        one text to threads of the library's own, which takes three times as long.
    """
    kind, lock = type(tokenizer), threading.RLock()

    def encode(self: Any, *texts: Any, **settings: Any) -> Any:
        with lock:
            return kind._encode_plus(self, *texts, **settings)

    def ids_of_text(text: str) -> list[int]:
        if not tokenizer.is_fast:
            return tokenizer(text, verbose=False)["input_ids"]
        with lock:
            own = tokenizer.backend_tokenizer
            own.no_truncation()
            own.no_padding()
            return own.encode(text).ids

    # The same names, since diffusers asks for them.
    names = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "_encode_plus": encode,
    }
    tokenizer.__class__ = type(kind.__name__, (kind,), names)
    return ids_of_text


def twin(model: Any) -> Any:
    """The same model in other objects: it shares the weights, but hooks on it are its own."""
    weights: dict[int, Any] = {id(one): one for one in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, weights)


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """In the with block this thread uses at most so many of torch's threads.

    Threads beyond the cores wait for each other, which takes many times as long.
    """
    own = torch.get_num_threads()
    share = min(own, max(1, count))
    if share == own:
        yield
        return
    torch.set_num_threads(share)
    try:
        yield
    finally:
        torch.set_num_threads(own)


def weights_bytes(model: torch.nn.Module) -> int:
    """Bytes of a model's weights and buffers."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


# ---------------------------------------------------------------- linear layers


class OneDnnLinear(nn.Linear):
    """A linear layer whose product oneDNN computes where no gradient is wanted; same weights, same answer.

    On an AMD EPYC with AVX-512 a core does 220 GFLOP/s this way and 100 by MKL, both in float32; with AVX2 MKL takes
    0.61 to 0.97 of oneDNN's time.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The product of float32 vectors, shape (..., inputs), with the weights: (..., outputs)."""
        if torch.is_grad_enabled() or input.dtype != torch.float32 or input.device.type != "cpu":
            return super().forward(input)
        return torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")


def has_onednn() -> bool:
    """Whether torch has oneDNN for this processor, and would not ask it by itself as on ARM."""
    # macOS has a library of its own.
    return torch.backends.mkldnn.is_available() and platform.machine() in {"x86_64", "AMD64"}


def by_onednn(model: nn.Module) -> None:
    """Let oneDNN compute a model's linear layers, where it is faster than torch's own library (`OneDnnLinear`)."""
    if not has_onednn() or not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = OneDnnLinear


def in_int8(model: nn.Module) -> None:
    """Bring a model's linear layers to int8, their weights with a scale an output.

    Each batch sets the scale of its inputs, so that a sentence's vector differs a little with its company.
    """
    kinds = {nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig}
    with warnings.catch_warnings():
        # A later torch wants another package for this; ours is pinned.
        warnings.simplefilter("ignore")
        torch.ao.quantization.quantize_dynamic(model, kinds, inplace=True)


def int8_bytes(model: nn.Module) -> int:
    """Bytes of the weights that `in_int8` has packed away from the parameters."""
    return sum(one.weight().numel() for one in model.modules() if isinstance(one, Int8Linear))
