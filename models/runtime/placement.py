"""Which device and dtype a model gets, and why: decided here and nowhere else.

The page shows it before torch is imported, so the hardware is looked up without torch: CUDA through the driver's own library, torch's build through its version's local tag.
"""

import ctypes
import os
import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import psutil

from models.contract import ModelSpec, Placement
from models.settings import Settings


@dataclass(frozen=True, slots=True)
class Hardware:
    """What this machine has.

    Attributes:
        cuda: there is an NVIDIA driver with at least one GPU.
        mps: this is a Mac with Apple silicon.
        cpu_torch: the installed torch was built without CUDA.
        cores: physical CPU cores this process may use: what torch takes by default.
    """

    cuda: bool
    mps: bool
    cpu_torch: bool
    cores: int


@cache
def hardware() -> Hardware:
    """Look once at what this machine has."""
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return Hardware(_has_cuda(), apple, _cpu_torch(), cores())


def _has_cuda() -> bool:
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
        count = ctypes.c_int()
        works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
        return works and count.value > 0
    except OSError:
        return False


def _cpu_torch() -> bool:
    # Linux and Windows wheels say it in the version, 2.13.0+cpu; macOS wheels never have CUDA.
    try:
        return version("torch").endswith("+cpu") or platform.system() == "Darwin"
    except PackageNotFoundError:
        return True


def cores() -> int:
    """Processor cores that this program may use."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # a container's share, not the whole machine
        return min(physical, len(os.sched_getaffinity(0)))
    return physical


def place(spec: ModelSpec, settings: Settings, machine: Hardware | None = None) -> Placement:
    """Decide device and dtype.

    CUDA takes the dtype the model wants (Stable Diffusion v1-4: float16), Apple's GPU float16; a CPU
    always float32: without AVX-512 or AMX a half-precision product is hundreds of times slower.

    Args:
        spec: what is to be placed.
        settings: `device` may force one.
        machine: instead of this machine's hardware.
    """
    machine = machine or hardware()
    if spec.hosted:
        return Placement("server", "", "hosted")
    if spec.source == "none:":
        return Placement("cpu", "float32", "no_weights", 1)
    if not spec.cuda_dtype:
        return Placement("cpu", "float32", "no_use_of_gpu", 1)
    device, reason = _device(settings.device, machine)
    if device == "cuda":
        return Placement(device, spec.cuda_dtype, reason)
    if device == "mps":
        return Placement(device, "float16", reason)
    return Placement("cpu", "float32", reason, spec.cpu_threads or machine.cores)


def _device(setting: str, machine: Hardware) -> tuple[str, str]:
    if setting == "cpu":
        return "cpu", "cpu_by_setting"
    if machine.cuda and not machine.cpu_torch and setting in {"auto", "cuda"}:
        return "cuda", "cuda_found"
    if machine.mps and setting in {"auto", "mps"}:
        return "mps", "mps_found"
    if machine.cuda:
        return "cpu", "torch_without_cuda"
    return "cpu", "no_gpu"
