"""Schedulers by the names that people know, in AUTOMATIC1111's spelling.

A model keeps its own training (betas, what it predicts, spacing of the steps): only the way down from
noise to picture is exchanged. A flow-matching model (SD3, FLUX, Z-Image) has only its own.
"""

from typing import Any

from models.contract import ModelSpec
from models.errors import InvalidInput

_DPM = "DPMSolverMultistepScheduler"
_PLAIN: dict[str, Any] = {"use_karras_sigmas": False, "algorithm_type": "dpmsolver++"}

# name -> diffusers' class, and what is set in it beyond the model's own configuration
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "PNDM": ("PNDMScheduler", {"skip_prk_steps": True}),
    "Euler": ("EulerDiscreteScheduler", {"use_karras_sigmas": False}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {"use_karras_sigmas": False}),
    "DPM++ 2M": (_DPM, _PLAIN),
    "DPM++ 2M Karras": (_DPM, {**_PLAIN, "use_karras_sigmas": True}),
    "DPM++ 2M SDE": (_DPM, {**_PLAIN, "algorithm_type": "sde-dpmsolver++"}),
    "DDIM": ("DDIMScheduler", {"clip_sample": False}),
    "UniPC": ("UniPCMultistepScheduler", {"use_karras_sigmas": False}),
    "LCM": ("LCMScheduler", {"clip_sample": False}),
}
NAMES = tuple(SCHEDULERS)
_ALIASES = {"PLMS": "PNDM"}

# Where training went to pure noise (cosine betas) its level over the signal has no bound. Karras, even
# in noise levels to the power 1/7, would spend nearly all steps there, and Euler a's step down from
# there is a difference of two all but equal numbers, less than nothing in float32.
_MOST_NOISE = 1000.0
BOUNDED = ("Euler a", "DPM++ 2M Karras")  # only for a model whose noise has a bound
UNBOUNDED = tuple(name for name in NAMES if name not in BOUNDED)  # for any other


def known(name: str) -> str:
    """The name as it stands in the table; "" is the model's own.

    Raises:
        InvalidInput: it does not stand there (invalid_scheduler).
    """
    name = _ALIASES.get(name.strip(), name.strip())
    if name and name not in SCHEDULERS:
        raise InvalidInput("invalid_scheduler", names=", ".join(NAMES))
    return name


def offered(spec: ModelSpec) -> tuple[str, ...]:
    """The names that a model's page offers beside its own: none for a flow-matching or hosted one."""
    return () if spec.hosted else tuple(spec.defaults.get("schedulers", NAMES))


def made(own: Any, name: str, label: str = "") -> Any:
    """A scheduler of that name for a model, or its own for "".

    Args:
        own: the scheduler that the pipeline was loaded with.
        name: as `known` gives it.
        label: the model's, for the error.

    Raises:
        InvalidInput: it does not suit the model (invalid_scheduler_model).
    """
    if not name:
        return own
    import diffusers

    kind, options = SCHEDULERS[name]
    flows = "beta_schedule" not in own.config
    if flows or (name in BOUNDED and _most_noise(own) > _MOST_NOISE):
        raise InvalidInput("invalid_scheduler_model", model=label, name=name)
    return getattr(diffusers, kind).from_config(own.config, **options)


def _most_noise(scheduler: Any) -> float:
    """Noise over signal at the first step of training backwards."""
    signal = float(scheduler.alphas_cumprod[-1])
    return ((1 - signal) / signal) ** 0.5
