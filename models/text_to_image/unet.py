"""A Stable Diffusion UNet that is called many times with the same shapes, faster than as it was loaded.

On a CPU a tiny UNet becomes a traced program for each shape, and its rows (two a picture with guidance) are
shared out to the cores: more threads within a product of this size only wait for each other. A large UNet is left as it is,
since its arithmetic takes all the time. On CUDA it can be compiled (GENLAB_COMPILE).
"""

import copy
import logging
import threading
import warnings
from collections import deque
from collections.abc import Callable, Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.contract import Notify, Stop
from models.runtime.batching import Batcher
from models.runtime.placement import cores
from models.runtime.places import Places
from models.torch_tools import has_onednn, on_cores

log = logging.getLogger("genlab")

# About sizes that become constants, as they should. For good: catch_warnings is not for threads.
warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)

_SMALL = 50_000_000  # parameters: v1-4 has 860 million
_TRACES = 6  # programs in memory; each has a copy of the weights in the order of its convolutions
_SIZES = (1, 4, 8)  # rows of a program; a row of the starter's takes 6.7, 4.5 and 3.3 ms of a core
_FULL_ENOUGH = 0.7  # of a program's rows, from which filling it up is faster than smaller programs
_MOST_ROWS = 16  # of a pass: eight pictures with guidance
_READY = 4  # people in beside those eight: at their decoder, or ready to draw when a place is free
_MOST_CORES = 8


@dataclass(eq=False, slots=True)
class SharedDrawing:
    """One person's drawing: the keys and values of its text, and how many pictures its passes were of.

    Attributes:
        company: 1 where no row was computed together with another's: then its bits are those of a drawing
            alone.
    """

    company: int = 1
    text: Tensor | None = None
    context: tuple[Tensor, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class _Input:
    latents: Tensor  # (rows, channels, height, width)
    times: Tensor  # (rows,)
    context: tuple[Tensor, ...]  # each (rows, ...)


@dataclass(frozen=True, eq=False, slots=True)
class _Chunk:
    """Rows that one program computes: those from `begin` to `end`, and the last one again to fill it up."""

    begin: int
    end: int
    size: int
    program: Any
    context: tuple[Tensor, ...]


class FastUNet:
    """Calls a UNet2DConditionModel, through a traced program if the UNet is small and on a CPU.

    Drawings at the same time, each in a thread of its own, share passes step by step, whatever their
    texts, schedulers and numbers of steps. A program of eight rows takes half as long a row as one of one.
    Each core has passes of its own: while one computes, those of another's last pass are at their schedulers and
    previews, which is Python, and no core waits for that.

    Args:
        unet: in evaluation mode, placed.
    """

    def __init__(self, unet: Any) -> None:
        self._unet = unet
        self._programs = _Programs(unet)
        self._small = sum(weights.numel() for weights in unet.parameters()) <= _SMALL
        self._traces = self._small and is_traceable(unet)
        self._cores = min(cores(), _MOST_CORES) if self._traces else 1
        helpers = max(1, self._cores - 1)
        self._helpers = ThreadPoolExecutor(helpers, "part", torch.set_num_threads, (1,))
        self._own = threading.local()
        self._places = Places(_MOST_ROWS // 2)
        self._layouts = deque[_RowLayout](maxlen=self._cores)
        self._passes: Batcher[_Input, tuple[Tensor, int]] = Batcher(
            self._run,
            most=_MOST_ROWS,
            weigh=lambda call: len(call.latents),
            kind=_shape,
            lanes=self._cores,
            spread=self._cores,
            turns="text_to_image",
        )

    @property
    def capacity(self) -> int:
        """People at once that gain by sharing passes: who is at the decoder holds up nobody who would draw."""
        return _MOST_ROWS // 2 + _READY if self._traces else 1

    @property
    def waiting(self) -> int:
        """How many of these wait until one of those who draw is done."""
        return self._places.waiting

    def prepare(self, *shapes: tuple[int, int, int, int, int]) -> None:
        """Trace these shapes now: (batch, channels, height, width, tokens)."""
        width_of_text = self._unet.config.cross_attention_dim
        for batch, channels, height, width, tokens in shapes if self._traces else ():
            with torch.inference_mode():
                latents = torch.zeros(batch, channels, height, width)
                self(latents, torch.tensor(1.0), torch.zeros(batch, tokens, width_of_text))

    @contextmanager
    def drawing(self, stop: Stop, notify: Notify) -> Generator[SharedDrawing]:
        """Within it this thread calls the UNet step after step: the others who draw wait for it.

        Where as many draw as a pass holds, it waits until one of them is done.

        Args:
            stop: ends the wait.
            notify: is called with Waiting.

        Raises:
            Stopped: stop was set meanwhile.
        """
        self._own.drawing = drawing = SharedDrawing()
        try:
            with ExitStack() as places:
                if self._traces:
                    places.enter_context(self._places.place(stop, notify))
                    places.enter_context(self._passes.attending())
                yield drawing
        finally:
            del self._own.drawing

    def __call__(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """The model's output for the latents: noise, velocity or picture, as it was trained.

        Args:
            latents: (batch, channels, height, width), scaled as the scheduler wants.
            timestep: one number.
            text: (batch, tokens, features); the same tensor at every step of a drawing.
        """
        if not self._traces:
            return self._unet(latents, timestep, encoder_hidden_states=text, return_dict=False)[0]
        latents = latents.contiguous(memory_format=torch.channels_last)
        # Integers of some schedulers would need a second trace.
        times = timestep.to(torch.float32).expand(len(latents))
        drawing = getattr(self._own, "drawing", None) or SharedDrawing()
        if text is not drawing.text:
            drawing.text, drawing.context = text, keys_and_values(self._unet, text)
        output, company = self._passes(_Input(latents, times, drawing.context), Stop())
        drawing.company = max(drawing.company, company)
        return output

    def forget(self) -> None:
        """The UNet's layers have changed: trace them anew, or with a LoRA no longer."""
        self._traces = self._small and is_traceable(self._unet)
        self._programs = _Programs(self._unet)
        self._layouts.clear()

    # ------------------------------------------------------------ one pass

    def _run(self, calls: list[_Input], cores: int) -> list[tuple[Tensor, int]]:
        """The output of each call, and how many pictures were computed together with it."""
        # In the same order at each step, whoever comes first: so the layout of their rows can stay.
        in_order = sorted(calls, key=lambda one: id(one.context))
        with torch.inference_mode():
            first, *others = self._split(in_order, cores)
            latents = torch.cat([one.latents for one in in_order])
            times = torch.cat([one.times for one in in_order])
            waits = [self._helpers.submit(_compute, one, latents, times) for one in others]
            parts = [_compute(first, latents, times), *(wait.result() for wait in waits)]
            output = torch.cat(parts)
        together = any(chunk.size > 1 for part in (first, *others) for chunk in part)
        company = len(calls) if together else 1
        shares = output.split([len(one.latents) for one in in_order])
        outputs = dict(zip(in_order, shares, strict=True))
        return [(outputs[one], company) for one in calls]

    def _split(self, calls: list[_Input], cores: int) -> list[list[_Chunk]]:
        """An even part of the rows for each core, in chunks for which there are programs.

        It stays the same from step to step, and so do the contexts that are put together in it.
        """
        rows = sum(len(one.latents) for one in calls)
        share = -(-rows // cores)
        example, contexts = calls[0], tuple(one.context for one in calls)
        sizes = tuple(n for n in _SIZES if self._programs.has(n, share, example))
        for layout in tuple(self._layouts):  # another lane may add one meanwhile
            if layout.fits(contexts, sizes, cores):
                return layout.parts
        context = tuple(torch.cat(several) for several in zip(*contexts, strict=True))
        parts = list[list[_Chunk]]()
        for begin in range(0, rows, share):
            part, end = list[_Chunk](), min(begin + share, rows)
            for size in split_rows(end - begin, sizes):
                stop = min(begin + size, end)
                own = tuple(_fill(one[begin:stop], size) for one in context)
                part.append(_Chunk(begin, stop, size, self._programs.get(size, example), own))
                begin = stop
            parts.append(part)
        self._layouts.append(_RowLayout(contexts, sizes, cores, parts))
        return parts


def _shape(call: _Input) -> tuple[int, ...]:
    """What calls of one pass have in common: channels, height, width and tokens."""
    return (*call.latents.shape[1:], call.context[0].shape[2])


def _compute(part: list[_Chunk], latents: Tensor, times: Tensor) -> Tensor:
    with torch.inference_mode():  # this setting belongs to the thread
        return torch.cat([_one(chunk, latents, times) for chunk in part])


def _one(chunk: _Chunk, latents: Tensor, times: Tensor) -> Tensor:
    rows = slice(chunk.begin, chunk.end)
    if chunk.size == 1:
        return chunk.program(latents[rows], times[chunk.begin], *chunk.context)
    pixels = _fill(latents[rows], chunk.size).contiguous(memory_format=torch.channels_last)
    output = chunk.program(pixels, _fill(times[rows], chunk.size), *chunk.context)
    return output[: chunk.end - chunk.begin]


def _fill(rows: Tensor, size: int) -> Tensor:
    """So many rows: the last one is repeated."""
    missing = size - len(rows)
    return torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]) if missing else rows


def split_rows(count: int, sizes: Collection[int]) -> list[int]:
    """Sizes of programs for so many rows: one that is nearly filled, or the largest that is filled."""
    chunks = list[int]()
    while count > 0:
        nearly = [size for size in sizes if size * _FULL_ENOUGH <= count <= size]
        size = min(nearly, default=max((one for one in sizes if one <= count), default=1))
        chunks.append(size)
        count -= size
    return chunks


@dataclass(frozen=True, eq=False, slots=True)
class _RowLayout:
    """How the rows of some drawings are split over so many cores, as long as the same ones go on together."""

    contexts: tuple[tuple[Tensor, ...], ...]
    sizes: tuple[int, ...]
    cores: int
    parts: list[list[_Chunk]]

    def fits(
        self, contexts: tuple[tuple[Tensor, ...], ...], sizes: tuple[int, ...], cores: int
    ) -> bool:
        own = (len(self.contexts), self.sizes, self.cores)
        same = own == (len(contexts), sizes, cores)
        return same and all(a is b for a, b in zip(contexts, self.contexts, strict=True))


class _Programs:
    """The traced programs of a UNet, the newest few. Those of several rows are traced aside."""

    def __init__(self, unet: Any) -> None:
        self._unet = unet
        self._lock = threading.Lock()
        self._programs: dict[tuple[int, ...], Any] = {}
        self._coming: set[tuple[int, ...]] = set()

    def get(self, size: int, example: _Input) -> Any:
        """The program of so many rows; it is traced now if need be."""
        key = (size, *_shape(example))
        program = self._programs.get(key)
        if program is None:
            program = self._trace(key, example.context)
        return program

    def has(self, size: int, share: int, example: _Input) -> bool:
        """Whether there is a program of so many rows.

        If not, and a share of so many rows would use it, it is traced in a thread of its own: that takes
        a second or two, in which those who draw go on row by row.
        """
        key = (size, *_shape(example))
        if key in self._programs or size == 1:
            return True
        with self._lock:
            if key not in self._coming and size in split_rows(share, (1, size)):
                self._coming.add(key)
                values = (key, example.context)
                threading.Thread(target=self._aside, args=values, name="trace", daemon=True).start()
        return False

    def _aside(self, key: tuple[int, ...], context: tuple[Tensor, ...]) -> None:
        torch.set_num_threads(1)
        try:
            self._trace(key, context)
        except Exception:  # then rows go on one by one, and it is not tried again
            log.exception("tracing %s rows failed", key[0])
        else:
            with self._lock:
                self._coming.discard(key)

    def _trace(self, key: tuple[int, ...], context: tuple[Tensor, ...]) -> Any:
        size, *shape, _ = key
        # On one core, as it will run: with AVX2 weights that oneDNN packs for two cores take 20 times as long on one.
        with torch.inference_mode(), on_cores(1):
            latents = torch.zeros(size, *shape).contiguous(memory_format=torch.channels_last)
            times = torch.tensor(1.0) if size == 1 else torch.ones(size)
            rows = tuple(_fill(one[:1], size) for one in context)
            program = trace_unet(self._unet, latents, times, rows)
        with self._lock:
            if len(self._programs) >= _TRACES:
                self._programs.pop(next(iter(self._programs)))
            self._programs[key] = program
        return program


# ---------------------------------------------------------------- tracing, on a CPU
#
# The traced program gives the UNet's numbers except for rounding. Two things differ. The keys and values
# of the text are the same at every step, so they are computed once and passed in. And oneDNN computes the
# larger convolutions with weights that were packed before: for a single picture torch uses oneDNN only
# above 20,480 numbers, and takes twice as long otherwise (_slow_conv2d).

_LEAST = 1_000_000  # operations of a convolution from which oneDNN is faster
_WARM_UP = (
    3  # calls until the trace's optimizer has settled; after them the bits are always the same
)
_ABSENT = ("encoder_hid_dim", "addition_embed_type", "class_embed_type", "time_cond_proj_dim")
_OFF = ("only_cross_attention", "dual_cross_attention")


def is_traceable(unet: Any) -> bool:
    """Whether a UNet2DConditionModel is like Stable Diffusion's: its inputs are latents, a time and a text."""
    config = unet.config
    return (
        unet.device.type == "cpu"
        and unet.dtype == torch.float32
        and all(config.get(name) is None for name in _ABSENT)
        and not any(config.get(name) for name in _OFF)
        and not getattr(unet, "peft_config", None)  # tracing one with a LoRA takes 10 s
        and all(one.added_kv_proj_dim is None for one in _cross_attentions(unet))
    )


def keys_and_values(unet: Any, text: Tensor) -> tuple[Tensor, ...]:
    """What the UNet's layers read from a text.

    Args:
        unet: one that `is_traceable`.
        text: (batch, tokens, features).

    Returns:
        For each cross-attention in turn its keys, then its values: (batch, heads, tokens, features).
    """
    return tuple(
        _by_heads(one, project(text)).contiguous()
        for one in _cross_attentions(unet)
        for project in (one.to_k, one.to_v)
    )


def trace_unet(unet: Any, latents: Tensor, timestep: Tensor, context: tuple[Tensor, ...]) -> Any:
    """A program for inputs of these shapes: (latents, timestep, *context) -> the UNet's output.

    Args:
        unet: one that `is_traceable`, in evaluation mode; it is not changed.
        latents: (batch, channels, height, width), channels_last.
        timestep: float32, one number or one for each picture.
        context: `keys_and_values` of a text.
    """
    program = _Program(copy.deepcopy(unet)).eval()
    inputs = (latents, timestep, *context)
    if has_onednn():
        _pack(program, inputs)
    frozen = torch.jit.freeze(torch.jit.trace(program, inputs, check_trace=False))
    for _ in range(_WARM_UP):
        frozen(*inputs)
    return frozen


class _Program(nn.Module):
    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet
        for place, one in enumerate(_cross_attentions(unet)):
            one.set_processor(_ContextAttention(place))

    def forward(self, latents: Tensor, timestep: Tensor, *context: Tensor) -> Tensor:
        return self.unet(latents, timestep, encoder_hidden_states=context, return_dict=False)[0]


class _ContextAttention:
    """diffusers' AttnProcessor2_0 for a cross-attention whose keys and values are passed in."""

    def __init__(self, place: int) -> None:
        self._place = place

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Any, **_: Any
    ) -> Tensor:
        keys, values = encoder_hidden_states[2 * self._place : 2 * self._place + 2]
        queries = _by_heads(attn, attn.to_q(hidden_states))
        output = F.scaled_dot_product_attention(queries, keys, values)
        return attn.to_out[0](output.transpose(1, 2).flatten(2))


def _cross_attentions(unet: Any) -> list[Any]:
    return [one for name, one in unet.named_modules() if name.endswith(".attn2")]


def _by_heads(attn: Any, features: Tensor) -> Tensor:
    return features.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def _pack(program: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Let oneDNN compute the larger 3 x 3 convolutions, for the shapes that they get with these inputs."""
    shapes: dict[Any, torch.Size] = {}

    def record(one: nn.Conv2d, arguments: tuple[Tensor], _: Tensor) -> None:
        shapes[one] = arguments[0].shape

    convolutions = [one for one in program.modules() if type(one) is nn.Conv2d]
    hooks = [one.register_forward_hook(record) for one in convolutions]
    program(*inputs)
    for hook in hooks:
        hook.remove()
    modules: list[tuple[str, Any]] = list(program.named_modules())
    for name, one in modules:
        if one in shapes and _is_plain(one) and _operations(one, shapes[one]) >= _LEAST:
            parent, _, own = name.rpartition(".")
            setattr(program.get_submodule(parent), own, _OneDnnConv2d(one, shapes[one]))


def _is_plain(one: nn.Conv2d) -> bool:
    settings = (one.kernel_size, one.stride, one.padding, one.dilation, one.groups)
    return settings == ((3, 3), (1, 1), (1, 1), (1, 1), 1)


def _operations(one: nn.Conv2d, shape: torch.Size) -> int:
    return 2 * shape[0] * shape[2] * shape[3] * one.weight.numel()


class _OneDnnConv2d(nn.Module):
    def __init__(self, one: nn.Conv2d, shape: torch.Size) -> None:
        super().__init__()
        weight = one.weight.to(memory_format=torch.channels_last)
        ones = [1, 1]
        kernel_weight = torch.ops.mkldnn._reorder_convolution_weight(
            weight, ones, ones, ones, 1, list(shape)
        )
        self.bias = one.bias
        self.register_buffer("weight", kernel_weight)

    def forward(self, pixels: Tensor) -> Tensor:
        return _convolve(pixels, self.weight, self.bias)


@torch.jit.script  # a trace alone cannot hold the empty list
def _convolve(pixels: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._convolution_pointwise(
        pixels, weight, bias, [1, 1], [1, 1], [1, 1], 1, "none", [], ""
    )


# ---------------------------------------------------------------- compiling, on CUDA

LatentShape = tuple[int, int, int, int]  # (batch, channels, height, width)

_COMPILED_SHAPES = 4  # half of what torch allows for one function
_BATCHES = (1, 2, 16)  # one picture without and with guidance, and the fullest batch with it


class CompiledUNet:
    """Calls a UNet2DConditionModel: compiled where the shape is a usual one, else as it is.

    Off unless the host turns it on: its gain has not been measured on a GPU, and compiling a shape takes
    minutes. CUDA graphs cannot be used: "reduce-overhead" keeps them per thread, and every job has its
    own thread (github.com/pytorch/pytorch/issues/123177).

    Args:
        unet: in evaluation mode, placed; its projections are fused and its layout is changed.
        mode: torch.compile's.
        sizes: (height, width) of the latents that are worth compiling for.
        backend: torch.compile's.
    """

    def __init__(
        self,
        unet: Any,
        mode: str,
        sizes: Collection[tuple[int, int]],
        backend: str | Callable[..., Any] = "inductor",
    ) -> None:
        unet.to(memory_format=torch.channels_last)
        unet.fuse_qkv_projections()
        options: dict[str, Any] = {"mode": mode, "backend": backend}
        self._unet, self._sizes = unet, frozenset(sizes)
        self._program: Any = torch.compile(unet, fullgraph=True, dynamic=False, **options)
        self._shapes: set[LatentShape] = set()

    capacity = 1
    waiting = 0

    def drawing(self, stop: Stop, notify: Notify) -> AbstractContextManager[SharedDrawing]:
        """As FastUNet's; nothing is shared here."""
        return nullcontext(SharedDrawing())

    def forget(self) -> None:
        """From now on call the UNet as it is: its layers changed, and fused ones would leave a LoRA out."""
        self._unet.unfuse_qkv_projections()
        self._sizes = frozenset()

    def compiles(self, shape: LatentShape) -> bool:
        """Whether the next call with latents of this shape compiles first."""
        return self._is_usual(shape) and shape not in self._shapes

    def _is_usual(self, shape: LatentShape) -> bool:
        batch, _, height, width = shape
        usual = batch in _BATCHES and (height, width) in self._sizes
        return usual and (shape in self._shapes or len(self._shapes) < _COMPILED_SHAPES)

    def __call__(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """As FastUNet: latents (batch, channels, height, width), one number, (batch, tokens, features)."""
        from torch._dynamo.exc import TorchDynamoException

        batch, channels, height, width = latents.shape
        shape = (batch, channels, height, width)
        latents = latents.contiguous(memory_format=torch.channels_last)
        timestep = timestep.to(latents.device, torch.float32)  # integers in some schedulers
        arguments = {"encoder_hidden_states": text, "return_dict": False}
        if self._is_usual(shape):
            try:
                output = self._program(latents, timestep, **arguments)[0]
            except TorchDynamoException as error:  # for example if there is no compiler
                log.warning("the UNet stays uncompiled: %s", type(error).__name__)
                self._sizes = frozenset()
            else:
                self._shapes.add(shape)
                return output
        return self._unet(latents, timestep, **arguments)[0]
