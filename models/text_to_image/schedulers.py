"""Schedulers: their names, how one is built for a model, and what one predicts.

The names are AUTOMATIC1111's. A new scheduler keeps the model's training configuration (betas, prediction
type, spacing of the steps); only the way from noise to picture changes. A flow-matching model (SD3, FLUX,
Z-Image) has only its own scheduler.
"""

from typing import TYPE_CHECKING, Any

from models.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

_DPM = "DPMSolverMultistepScheduler"
_PLAIN: dict[str, Any] = {"use_karras_sigmas": False, "algorithm_type": "dpmsolver++"}

# name -> diffusers' class, and its settings beyond the model's own configuration
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

# With cosine betas training reached pure noise, where noise over signal has no bound. Karras spaces the
# steps evenly in noise level to the power 1/7 and would spend nearly all of them there. Euler a subtracts
# two nearly equal numbers there, and in float32 the result is below zero.
_MOST_NOISE = 1000.0
FOR_LITTLE_NOISE = ("Euler a", "DPM++ 2M Karras")  # only for a model whose noise has a bound


def canonical_name(name: str) -> str:
    """The name as in SCHEDULERS; "" stays "", the model's own scheduler.

    Raises:
        InvalidInput: there is no such scheduler (invalid_scheduler).
    """
    name = _ALIASES.get(name.strip(), name.strip())
    if name and name not in SCHEDULERS:
        raise InvalidInput("invalid_scheduler", names=", ".join(NAMES))
    return name


def build_scheduler(own: Any, name: str, label: str = "") -> Any:
    """The scheduler of that name for a model; the model's own for "".

    Args:
        own: the scheduler that the pipeline was loaded with.
        name: as `canonical_name` returns it.
        label: the model's, for the error.

    Raises:
        InvalidInput: it does not suit the model (invalid_scheduler_model).
    """
    if not name:
        return own
    import diffusers

    kind, options = SCHEDULERS[name]
    flow_matching = "beta_schedule" not in own.config or own.config.get("use_flow_sigmas")
    if flow_matching or (name in FOR_LITTLE_NOISE and _most_noise(own) > _MOST_NOISE):
        raise InvalidInput("invalid_scheduler_model", model=label, name=name)
    return getattr(diffusers, kind).from_config(own.config, **options)


def _most_noise(scheduler: Any) -> float:
    """Noise over signal at the last step of training."""
    signal = float(scheduler.alphas_cumprod[-1])
    return ((1 - signal) / signal) ** 0.5


def count_passes(scheduler: Any, steps: int, strength: float | None = None) -> int:
    """Passes through the model for one picture; some schedulers need more passes than steps.

    Args:
        scheduler: the one that will be used.
        steps: num_inference_steps.
        strength: of a drawing that starts from a picture: the share of the steps that is taken.
    """
    try:
        scheduler.set_timesteps(steps)
        count = len(scheduler.timesteps)
    except (TypeError, ValueError):  # a flow-matching scheduler needs the size of the picture first
        count = steps
    if strength is not None:
        count -= (steps - min(int(steps * strength), steps)) * scheduler.order
    return count


# ---------------------------------------------------------------- the predicted picture


def predicted_original(
    scheduler: Any, latents: "Tensor", output: "Tensor", timestep: "Tensor", index: int
) -> "Tensor":
    """The model's guess of the finished picture's latents (x0) at a step.

    Args:
        scheduler: has just made the step.
        latents: before the step, as the scheduler holds them.
        output: the model's output for them.
        timestep: of the step.
        index: of the step, from 0.
    """
    config = scheduler.config
    own_guess = _converted_output(scheduler)
    if own_guess is not None:
        return own_guess
    if hasattr(scheduler, "is_scale_input_called"):  # Euler's family: signal 1, noise sigma
        sigma = scheduler.sigmas[index].to(latents.device, latents.dtype)
        signal, noise = 1 / (sigma**2 + 1).sqrt(), sigma / (sigma**2 + 1).sqrt()
        latents = latents * signal
    else:
        share = scheduler.alphas_cumprod[int(timestep)].to(latents.device, latents.dtype)
        signal, noise = share.sqrt(), (1 - share).sqrt()
    if config.prediction_type == "v_prediction":
        return signal * latents - noise * output
    if config.prediction_type == "sample":
        return output
    return (latents - noise * output) / signal


def extrapolated_original(
    scheduler: Any, before: "Tensor | None", latents: "Tensor", index: int
) -> "Tensor":
    """The same guess for a pipeline that shows only its latents after each step.

    The straight line of the last step is followed to where there is no noise. This is exact for Euler's
    method, with flow matching too. For other schedulers it is what they hold, or the noisy latents.

    Args:
        scheduler: has just made the step.
        before: the latents before the step; None at the first.
        latents: after the step.
        index: of the step, from 0.
    """
    own_guess = _converted_output(scheduler)
    if own_guess is not None:
        return own_guess
    sigmas = getattr(scheduler, "sigmas", None)
    if before is None or sigmas is None or "Euler" not in type(scheduler).__name__:
        return unit_spread(latents)
    now, then = float(sigmas[index]), float(sigmas[index + 1])
    return latents - (latents - before) * (then / (then - now)) if now != then else latents


def unit_spread(latents: "Tensor") -> "Tensor":
    """Latents with their noise, scaled down to a standard deviation of at most 1."""
    return latents / latents.std().clamp(min=1.0)


def _converted_output(scheduler: Any) -> "Tensor | None":
    """The x0 that a multistep scheduler itself has computed; None if it holds none."""
    config, outputs = scheduler.config, getattr(scheduler, "model_outputs", None)
    if outputs and ("dpmsolver++" in config.get("algorithm_type", "") or config.get("predict_x0")):
        return outputs[-1]
    return None
