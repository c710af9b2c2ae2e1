"""Which device and dtype a model gets, and why: decided here and nowhere else.

The page shows it before torch is imported, so the hardware is looked up without torch: CUDA through the driver's own library, torch's build through its version's local tag.
"""

import ctypes
import os
import platform
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

import psutil

from models.contract import ModelSpec, Placement
from models.settings import Settings

ZERO_GPU_DEVICE = "cuda"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What this machine has.

    Attributes:
        cuda: there is an NVIDIA driver with at least one GPU.
        mps: this is a Mac with Apple silicon.
        cpu_torch: the installed torch was built without CUDA.
        cuda_llama: the installed llama.cpp was built with CUDA; PyPI's was not.
        zero_gpu: a GPU is lent for single calls (models/runtime/zerogpu.py).
        bfloat16: the processor computes in bfloat16 by itself (AMX or AVX512-BF16).
        cores: physical CPU cores this process may use: what torch takes by default.
    """

    cuda: bool
    mps: bool
    cpu_torch: bool
    cores: int
    cuda_llama: bool = False
    zero_gpu: bool = False
    bfloat16: bool = False


@cache
def hardware() -> Hardware:
    """Look once at what this machine has."""
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    if has_zero_gpu():
        # Its driver must not be touched: a process that is forked later could not use it.
        return Hardware(False, False, False, cores(), zero_gpu=True)
    return Hardware(
        _has_cuda(), apple, _cpu_torch(), cores(), _cuda_llama(), bfloat16=_has_bfloat16()
    )


def has_zero_gpu() -> bool:
    """Whether this is a Hugging Face Space with ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in {"1", "t", "true"}


def _has_cuda() -> bool:
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
        count = ctypes.c_int()
        works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
        return works and count.value > 0
    except OSError:
        return False


def _has_bfloat16() -> bool:
    # Only Linux tells it without a library; elsewhere float32 is right, only slower.
    try:
        flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        return False
    return flags is not None and bool({"avx512_bf16", "amx_bf16"} & {*flags[1].split()})


def _cpu_torch() -> bool:
    # Linux and Windows wheels say it in the version, 2.13.0+cpu; macOS wheels never have CUDA.
    try:
        return version("torch").endswith("+cpu") or platform.system() == "Darwin"
    except PackageNotFoundError:
        return True


def _cuda_llama() -> bool:
    # Its CUDA wheels bring the backend, or what that needs, as a library with cuda in its name.
    try:
        return any("cuda" in path.name.lower() for path in files("xllamacpp") or ())
    except PackageNotFoundError:
        return False


def free_memory() -> int:
    """Bytes of memory that programs may still take, in a container its own share."""
    free = psutil.virtual_memory().available
    try:
        group = Path("/sys/fs/cgroup")
        most, usage = (int((group / f"memory.{n}").read_text()) for n in ("max", "current"))
        page_cache = re.search(r"^inactive_file (\d+)", (group / "memory.stat").read_text(), re.M)
        return min(free, most - usage + (int(page_cache[1]) if page_cache else 0))
    except (OSError, ValueError):  # no such group, or it has no limit ("max")
        return free


def cores() -> int:
    """Processor cores that this program may use."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # a container's share, not the whole machine
        return min(physical, len(os.sched_getaffinity(0)))
    return physical


def place(spec: ModelSpec, settings: Settings, machine: Hardware | None = None) -> Placement:
    """Decide device and dtype.

    CUDA takes the dtype the model wants (Stable Diffusion v1-4: float16), Apple's GPU float16; a CPU
    float32: most have no arithmetic of 16 bits, and a product in it is hundreds of times slower. One with
    AMX or AVX512-BF16 computes the large models, those that want a GPU, in bfloat16. A GGUF file keeps
    its own quantisation everywhere.

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
    if spec.quantisation:
        return _place_gguf(spec, settings.device, machine)
    if not spec.cuda_dtype:
        return Placement("cpu", "float32", "no_use_of_gpu", 1)
    device, reason = _device(settings.device, machine)
    if reason == "zero_gpu" and spec.wants_gpu:
        return Placement(ZERO_GPU_DEVICE, spec.cuda_dtype, reason)
    if reason == "zero_gpu":  # quick enough without, and the visitor's quota is short
        return Placement("cpu", "float32", "zero_gpu_small", spec.cpu_threads or machine.cores)
    if device == "cuda":
        return Placement(device, spec.cuda_dtype, reason)
    if device == "mps":
        return Placement(device, "float16", reason)
    threads = spec.cpu_threads or machine.cores
    if spec.wants_gpu and machine.bfloat16 and spec.cuda_dtype != "float32":
        return Placement("cpu", "bfloat16", "processor_bfloat16", threads)
    return Placement("cpu", "float32", reason, threads)


def _place_gguf(spec: ModelSpec, setting: str, machine: Hardware) -> Placement:
    """llama.cpp keeps the file's own quantisation; what matters is what it was built for."""
    device, reason = _device(setting, replace(machine, cpu_torch=not machine.cuda_llama))
    if reason == "torch_without_cuda":
        reason = "llama_without_cuda"
    if reason == "zero_gpu":
        device, reason = "cpu", "zero_gpu_small"
    # With all cores, other work on the machine stalls it.
    threads = max(1, machine.cores - 1) if device == "cpu" else None
    return Placement(device, spec.quantisation, reason, threads)


def _device(setting: str, machine: Hardware) -> tuple[str, str]:
    if setting == "cpu":
        return "cpu", "cpu_by_setting"
    if machine.zero_gpu and setting in {"auto", "cuda"}:
        return ZERO_GPU_DEVICE, "zero_gpu"
    if machine.cuda and not machine.cpu_torch and setting in {"auto", "cuda"}:
        return "cuda", "cuda_found"
    if machine.mps and setting in {"auto", "mps"}:
        return "mps", "mps_found"
    if machine.cuda:
        return "cpu", "torch_without_cuda"
    return "cpu", "no_gpu"
