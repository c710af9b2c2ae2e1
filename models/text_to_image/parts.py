"""What one request adds to a loaded pipeline: a LoRA in its strength, the tiny decoder.

They are put in before a drawing and are out again before the next that does not want them, so that nobody
gets what somebody else chose. The pipeline's own weights are never changed: a LoRA's layers stand beside
them (peft), and the decoder is another one.
"""

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from models.contract import ModelSpec, Notify, Placement, Stop
from models.errors import InvalidInput, ModelError, NotFound, OutOfMemory, Refused, as_model_error
from models.runtime.construction import CONSTRUCTION
from models.settings import Settings
from models.tasks import LORA, TINY_DECODER
from models.text_to_image.requests import DecodeRequest, ImageGridRequest, ImageRequest
from models.torch_tools import weights_bytes
from models.weights import hub_files, safetensors_files, sources

# The autoencoders of https://github.com/madebyollin/taesd (MIT), by what scales the latents that they
# stand in for and how many channels those have.
TINY_DECODERS = {
    (4, 0.18215): "madebyollin/taesd",  # Stable Diffusion 1 and 2
    (4, 0.13025): "madebyollin/taesdxl",
    (16, 1.5305): "madebyollin/taesd3",
    (16, 0.3611): "madebyollin/taef1",  # FLUX.1, Z-Image
}
_DOWN = re.compile(r"(lora_A|lora_down|lora\.down|lora_linear_layer\.down)(\.default)?\.weight$")
_ADAPTER = "lora"
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def tiny_decoder_of(config: Mapping[str, Any]) -> str:
    """The hub id of the tiny autoencoder for a model, by its autoencoder's configuration; "" for none."""
    key: Any = (config.get("latent_channels"), config.get("scaling_factor"))
    return TINY_DECODERS.get(key, "")


class PipelineParts:
    """Puts in and takes out what a request adds.

    Args:
        pipe: the pipeline, with its own decoder and without a LoRA.
        spec, placement, settings: as the engine was loaded with.
        on_change: is called when the model's layers changed: what was compiled from them no longer holds.
    """

    def __init__(
        self,
        pipe: Any,
        spec: ModelSpec,
        placement: Placement,
        settings: Settings,
        on_change: Callable[[], None],
    ) -> None:
        self._pipe, self._spec, self._on_change = pipe, spec, on_change
        self._placement, self._settings = placement, settings
        self._own_decoder = getattr(pipe, "vae", None)
        self._tiny_decoder: Any = None
        self._lora, self._strength = "", 0.0
        self._turn = threading.Lock()

    def fit(
        self, request: ImageRequest | ImageGridRequest | DecodeRequest, notify: Notify, stop: Stop
    ) -> None:
        """Bring the pipeline to what a request wants.

        Args:
            request: its `lora`, `lora_strength` and `decoder`; of a DecodeRequest the last.
            notify: is called with Downloading while something is fetched.
            stop: ends that, and the wait while a model is being loaded.

        Raises:
            Refused: a pickled file, a LoRA for another architecture (refused_lora), downloads are off.
            NotFound, Unavailable, Damaged: the file is not to be had, or is broken.
            InvalidInput: the model has no tiny decoder (invalid_no_tiny_decoder), or takes no LoRA.
            Stopped: stop was set.
        """
        with self._turn:
            self._set_decoder(request.decoder, notify, stop)
            if not isinstance(request, DecodeRequest):
                name = request.lora if request.lora_strength else ""
                self._set_lora(name, request.lora_strength, notify, stop)

    # ------------------------------------------------------------ the LoRA

    def _set_lora(self, name: str, strength: float, notify: Notify, stop: Stop) -> None:
        if name != self._lora:
            self._unload()
            if name:
                self._load(name, notify, stop)
        if name and strength != self._strength:
            self._pipe.set_adapters([_ADAPTER], [strength])
            self._strength = strength

    def _unload(self) -> None:
        if self._lora:
            self._pipe.unload_lora_weights()
            self._lora, self._strength = "", 0.0
            self._on_change()

    def _load(self, name: str, notify: Notify, stop: Stop) -> None:
        if not hasattr(self._pipe, "load_lora_weights") or self._spec.starter:
            raise InvalidInput("invalid_no_lora", model=self._spec.label)
        weights = self._weights(lora_file(name, self._settings, notify, stop))
        problem: ModelError | None = None
        with CONSTRUCTION.hold(stop):
            try:
                self._pipe.load_lora_weights(weights, adapter_name=_ADAPTER)
            except Exception as error:
                problem = as_model_error(error)
        self._lora = name  # whatever was put in is taken out by `_unload`
        self._on_change()
        own_layers = sum(bool(_DOWN.search(key)) for key in weights)
        # What has no place is left out: up to a tenth of the layers.
        if problem is None and 0 < 0.9 * own_layers <= self._layers():
            return
        self._unload()
        if isinstance(problem, OutOfMemory):
            raise problem
        raise Refused("refused_lora", model=self._spec.label, lora=_short(name))

    def _weights(self, path: Path) -> dict[str, torch.Tensor]:
        from safetensors.torch import load_file

        if safetensors_files.read(path).layout != "lora":
            raise NotFound("not_found_lora_file", lora=path.name)
        dtype = getattr(torch, self._placement.dtype)
        weights = load_file(path)
        return {k: v.to(dtype) if v.dtype in _DTYPES else v for k, v in weights.items()}

    def _layers(self) -> int:
        """Layers that have an adapter now."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        modules = [m for m in self._pipe.components.values() if isinstance(m, torch.nn.Module)]
        return sum(isinstance(one, BaseTunerLayer) for part in modules for one in part.modules())

    # ------------------------------------------------------------ the decoder

    def _set_decoder(self, name: str, notify: Notify, stop: Stop) -> None:
        if name and self._tiny_decoder is None:
            self._tiny_decoder = self._read_decoder(notify, stop)
        decoder = self._tiny_decoder if name else self._own_decoder
        if getattr(self._pipe, "vae", None) is not decoder:
            self._pipe.register_modules(vae=decoder)

    def _read_decoder(self, notify: Notify, stop: Stop) -> Any:
        from diffusers import AutoencoderTiny

        repository = tiny_decoder_of(getattr(self._own_decoder, "config", {}))
        if not repository:
            raise InvalidInput("invalid_no_tiny_decoder", model=self._spec.label)
        spec = ModelSpec(
            id=repository, task=TINY_DECODER.id, engine="", label=f"TAESD ({repository})"
        )
        folder = sources.folder(spec, self._settings, stop, notify)
        with CONSTRUCTION.hold(stop):
            decoder: Any = AutoencoderTiny.from_pretrained(
                folder, dtype=getattr(torch, self._placement.dtype), use_safetensors=True
            )
        decoder.to(self._placement.device)
        if self._placement.device == "cpu":
            decoder.to(memory_format=torch.channels_last)
        return decoder.eval()

    def nbytes(self) -> int:
        """Bytes of what is held beside the pipeline's own parts."""
        others = (self._tiny_decoder, self._own_decoder)
        here = getattr(self._pipe, "vae", None)
        return sum(weights_bytes(one) for one in others if one is not None and one is not here)


def lora_file(name: str, settings: Settings, notify: Notify, stop: Stop) -> Path:
    """A LoRA's file on this machine; fetched from the hub if it is not here and may be.

    Args:
        name: "ORG/NAME", "ORG/NAME:FILE.safetensors" or "file:NAME.safetensors".
        settings: the host's folder; whether downloads are allowed.
        notify: is called with Downloading.
        stop: ends a download.

    Raises:
        ModelError: as models.weights.sources.folder.
    """
    spec = lora_spec(name)
    folder = sources.folder(spec, settings, stop, notify)
    assert folder is not None
    return folder / weight_name(spec, folder)


def lora_spec(name: str) -> ModelSpec:
    """Where a LoRA is to be had, as a spec for models.weights."""
    source = name if name.startswith("file:") else f"hub:{name}"
    return ModelSpec(id=name, task=LORA.id, engine="", source=source, label=_short(name))


def weight_name(spec: ModelSpec, folder: Path) -> str:
    """The file of a LoRA within the folder that models.weights gives."""
    file = spec.id.partition(":")[2]
    if spec.scheme == "file":
        return file.rpartition("/")[2]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return file or hub_files.lora_files(names, lambda _: None).pop()


def _short(name: str) -> str:
    return name.removeprefix("file:")[:100]
