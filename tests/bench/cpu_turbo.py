"""SD-Turbo's architecture at full size with random weights on a CPU: 512 x 512, one step.

Plain diffusers (float32, torch's own threads) and GenLab draw in turns, with the same decoder and with the
tiny one. Random weights change neither speed nor memory. Where `openvino` is installed, its UNet and
decoder run in the same turns, in the dtype of GenLab's: GenLab does without it unless it gains 1.5 times.
Called by `python -m tests.bench.text_to_image --cpu-turbo`.
"""

import copy
import importlib.util
import statistics
from functools import partial
from typing import Any

import psutil
import torch

from models.contract import Stop
from models.runtime.placement import place
from models.select import find
from models.settings import Settings
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image import single_file, speed
from models.text_to_image.diffusers_engine import DiffusersTextToImage
from models.text_to_image.requests import ImageRequest
from tests.bench.image_ways import PROMPT, THREADS, Way


def random_part(kind: Any, config: Any) -> Any:
    """A model of an architecture with small random weights, without its own slow way of making them."""
    from accelerate import init_empty_weights

    with init_empty_weights():
        part = kind(config) if "transformers" in kind.__module__ else kind.from_config(config)
    part = part.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    for name, weights in part.named_parameters():
        with torch.no_grad():
            if weights.ndim > 1:
                weights.normal_(0, 0.5 / weights[0].numel() ** 0.5, generator=generator)
            else:
                weights.fill_(float("norm" in name and name.endswith("weight")))
    for name, numbers in part.named_buffers():  # of positions: empty would be any number
        if "position_ids" in name:
            numbers.copy_(torch.arange(numbers.shape[-1]).expand(numbers.shape))
    return part


# A few channels instead of all: to see that it runs, for nothing else.
FEWER = {
    "unet": {"block_out_channels": (32, 64, 64, 64), "attention_head_dim": (2, 4, 4, 4)},
    "vae": {"block_out_channels": (32, 32, 64, 64)},
}


def plain_pipeline(size: str = "full") -> Any:
    """diffusers' own, as it would load it on a CPU: float32."""
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    layout = single_file.LAYOUTS / "sd2"  # SD-Turbo is a distilled Stable Diffusion 2.1
    text = CLIPTextConfig.from_pretrained(layout / "text_encoder")
    fewer: dict[str, dict[str, Any]] = {"unet": {}, "vae": {}} if size == "full" else FEWER
    if size != "full":
        text.num_hidden_layers = 1
    unet = dict(UNet2DConditionModel.load_config(layout / "unet")) | fewer["unet"]
    vae = dict(AutoencoderKL.load_config(layout / "vae")) | fewer["vae"]
    pipe = StableDiffusionPipeline(
        unet=random_part(UNet2DConditionModel, unet),
        vae=random_part(AutoencoderKL, vae),
        text_encoder=random_part(CLIPTextModel, text),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="trailing",
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **single_file._tokenizers("sd2"),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def our_engine(pipe: Any, placement: Any) -> DiffusersTextToImage:
    """GenLab's, with the same weights in its own dtype and layout; a tiny decoder beside it."""
    from diffusers import AutoencoderTiny

    spec = find(TEXT_TO_IMAGE, "stabilityai/sd-turbo")
    dtype = getattr(torch, placement.dtype)
    parts = dict(pipe.components)
    for name in ("unet", "vae", "text_encoder"):
        parts[name] = copy.deepcopy(parts[name]).to(dtype)
    parts["scheduler"] = copy.deepcopy(parts["scheduler"])
    own = type(pipe)(**parts, requires_safety_checker=False)
    own.set_progress_bar_config(disable=True)
    for name in ("unet", "vae"):
        getattr(own, name).to(memory_format=torch.channels_last)
    engine = DiffusersTextToImage(own, spec, placement, None)
    tiny = random_part(AutoencoderTiny, AutoencoderTiny().config).to(dtype)
    engine._parts._tiny_decoder = tiny.to(memory_format=torch.channels_last)
    return engine


def whole(engine: DiffusersTextToImage, decoder: str) -> None:
    """A picture as the page draws it, events included."""
    ask = ImageRequest.of(prompt=PROMPT, seed=1, decoder=decoder)
    for _ in engine.stream(ask, Stop()):
        pass


def plainly(pipe: Any) -> None:
    """The pipeline's own call."""
    torch.set_num_threads(THREADS)
    pipe(
        PROMPT,
        num_inference_steps=1,
        guidance_scale=0.0,
        generator=torch.Generator("cpu").manual_seed(1),
    )


def unet_alone(unet: Any, threads: int, channels_last: bool) -> Way:
    """One pass through the UNet."""
    latents = torch.randn(1, 4, 64, 64, dtype=unet.dtype)
    text = torch.randn(1, 77, unet.config.cross_attention_dim, dtype=unet.dtype)
    if channels_last:
        latents = latents.contiguous(memory_format=torch.channels_last)

    def run() -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            unet(latents, torch.tensor(999), encoder_hidden_states=text, return_dict=False)

    return run


def decoder_alone(vae: Any, threads: int) -> Way:
    """One pass through the full decoder."""
    latents = torch.randn(1, 4, 64, 64, dtype=vae.dtype).contiguous(
        memory_format=torch.channels_last
    )

    def run() -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            vae.decode(latents, return_dict=False)

    return run


def openvino_ways(pipe: Any, dtype: str) -> dict[str, Way]:
    """The UNet and the decoder compiled by OpenVINO for this processor; nothing where it is missing."""
    if importlib.util.find_spec("openvino") is None:
        return {}
    import openvino

    class Decoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vae = pipe.vae

        def forward(self, latents: torch.Tensor) -> torch.Tensor:
            return self.vae.decode(latents, return_dict=False)[0]

    text = torch.randn(1, 77, pipe.unet.config.cross_attention_dim)
    latents = torch.randn(1, 4, 64, 64)
    hints = {
        "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16"}.get(dtype, "f32"),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": THREADS,
    }
    ways: dict[str, Way] = {}
    for name, part, inputs in (
        ("UNet, OpenVINO", pipe.unet, (latents, torch.tensor(999), text)),
        ("decoder, OpenVINO", Decoder(), (latents,)),
    ):
        with torch.no_grad():
            model = openvino.convert_model(part, example_input=inputs)
        model.reshape(
            {place: list(value.shape) for place, value in zip(model.inputs, inputs, strict=False)}
        )
        program = openvino.Core().compile_model(model, "CPU", hints)
        ways[name] = partial(program, [value.numpy() for value in inputs])
    return ways


def resident() -> float:
    """GB that the process holds."""
    return psutil.Process().memory_info().rss / 1e9


def main(runs: int, in_turns: Any, size: str = "full") -> None:
    """Print the figures.

    Args:
        runs: of each way, after one that warms up.
        size: "full" or, to see that it runs, anything else.
        in_turns: as in tests/bench/text_to_image.py.
    """
    spec = find(TEXT_TO_IMAGE, "stabilityai/sd-turbo")
    placement = place(spec, Settings(device="cpu"))
    before = resident()
    least, free = 14e9, psutil.virtual_memory().available  # the most at full size, with room
    if size == "full" and free < least:
        raise SystemExit(f"It needs about {least / 1e9:.0f} GB, and {free / 1e9:.1f} GB are free.")
    plain = plain_pipeline(size)
    at_plain = resident()
    ours = our_engine(plain, placement)
    print(
        f"SD-Turbo's architecture, {size}, 512 px, 1 step; plain float32 on {THREADS} threads, GenLab "
        f"{placement.dtype} on {placement.threads} threads\nweights in memory: plain "
        f"{at_plain - before:.2f} GB, GenLab {ours.nbytes() / 1e9:.2f} GB with both decoders",
        flush=True,
    )
    unets = (plain.unet, ours._pipe.unet)
    ways: dict[str, Way] = {
        "UNet, plain diffusers": unet_alone(unets[0], THREADS, False),
        "UNet, GenLab": unet_alone(unets[1], placement.threads or THREADS, True),
        "decoder, plain diffusers": decoder_alone(plain.vae, THREADS),
        "decoder, GenLab": decoder_alone(ours._pipe.vae, placement.threads or THREADS),
        "picture, plain diffusers": partial(plainly, plain),
        "picture, GenLab, same decoder": partial(whole, ours, ""),
        "picture, GenLab, tiny decoder": partial(whole, ours, "tiny"),
    }
    ways |= openvino_ways(plain, placement.dtype)
    seconds_of = in_turns(ways, "cpu", runs)
    seconds = {name: statistics.median(t[0] for t in times) for name, times in seconds_of.items()}
    for name, own in seconds.items():
        base = name.split(",")[0] + ", plain diffusers"
        pairs = list(zip(seconds_of[base], seconds_of[name], strict=True))
        ratio = statistics.median(p[0] / t[0] for p, t in pairs)
        less = statistics.median(p[1] / t[1] for p, t in pairs)
        cores = statistics.median(t[1] for t in seconds_of[name])
        print(
            f"{name}: {own:.2f} s, {cores:.2f} s of cores; {ratio:.2f} times as fast, {less:.2f} times "
            f"less work (n={runs})",
            flush=True,
        )
    print(f"most memory in all: {peak():.2f} GB; now {resident():.2f} GB")
    for tiny, name in ((False, "same"), (True, "tiny")):
        about = speed.seconds_a_picture(spec, placement, tiny) or 0
        print(f"told before on the page, {name} decoder: about {about:.1f} s")


def peak() -> float:
    """The most GB that the process has held."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
