"""The header of every table: what the numbers were measured on, and what is known to spoil them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kernels import device as devices
from kernels import threads

LIBRARIES = ("numpy", "numba", "numba-cuda", "scipy", "cupy-cuda12x", "cupy-cuda13x", "torch", "jax")
TRAPS = {
    "OPENBLAS_CORETYPE": "may halve NumPy's products: OpenBLAS no longer chooses its kernels by the processor",
    "OPENBLAS_L2_SIZE": "may halve NumPy's products: OpenBLAS no longer knows the cache",
    "NUMBA_DISABLE_JIT": "no kernel of Numba is compiled",
    "NUMBA_ENABLE_CUDASIM": "CUDA kernels run in a simulator",
    "NUMBA_OPT": "Numba optimises as it says",
    "OPENBLAS_NUM_THREADS": "fixes the threads of a BLAS",
    "OMP_NUM_THREADS": "fixes the threads of OpenMP",
    "MKL_NUM_THREADS": "fixes the threads of a BLAS",
    "NUMBA_NUM_THREADS": "fixes the threads of Numba",
    "OMP_WAIT_POLICY": "changes how long idle threads of OpenMP hold a core",
}


def describe(device: str) -> dict[str, Any]:
    """Processor, device, libraries with their versions, BLAS libraries, and `traps`, a line each."""
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "device": _cuda_device() if device == "cuda" else "none",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": _versions(),
        "blas": _blas(),
        "threading_layer": threads.layer(),
        "traps": traps(os.environ),
    }


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two headers are of machines whose times may be compared."""
    return all(one.get(k) == other.get(k) for k in ("processor", "cores", "device"))


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cuda_device() -> str:
    runtime = devices.module("cuda").cuda.runtime
    found = runtime.getDeviceProperties(runtime.getDevice())
    name = found["name"].decode() if isinstance(found["name"], bytes) else found["name"]
    return (
        f"{name}, compute capability {found['major']}.{found['minor']}, "
        f"{found['multiProcessorCount']} multiprocessors, "
        f"{found['totalGlobalMem'] / 2**30:.0f} GiB, driver {runtime.driverGetVersion()}, "
        f"runtime {runtime.runtimeGetVersion()}"
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _blas() -> list[str]:
    """Every BLAS that is loaded, with the file that holds it."""
    import numpy.linalg  # noqa: F401
    import scipy.linalg.cython_blas  # noqa: F401
    from threadpoolctl import threadpool_info

    return [
        f"{info['internal_api']} {info['version']} {info.get('architecture', '')}".strip()
        + f" ({Path(info['filepath']).parent.name}/{Path(info['filepath']).name})"
        for info in threadpool_info()
        if info["user_api"] == "blas"
    ]


def traps(environment: Mapping[str, str]) -> list[str]:
    """A line for each thing that is known to change timings here."""
    found = [f"{name}={environment[name]} is set: {why}" for name, why in TRAPS.items() if environment.get(name)]
    if hasattr(os, "getloadavg"):
        load, cores = os.getloadavg()[0], os.cpu_count() or 1
        if load > 0.5 * cores:
            found.append(f"other work is running: load {load:.1f} on {cores} cores")
    for path in Path("/sys/devices/system/cpu/cpu0/cpufreq").glob("scaling_governor"):
        if (governor := path.read_text().strip()) not in ("performance", "schedutil"):
            found.append(f"the clock is governed by {governor!r}: rates may drift")
    return found


def lines(machine: Mapping[str, Any]) -> list[str]:
    """The header as text."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    text = [
        f"processor  {machine['processor']}, {machine['cores']} cores; {machine['system']}",
        f"versions   {versions}; Numba's threads by {machine['threading_layer']}",
    ]
    if machine["device"] != "none":
        text.insert(1, f"device     {machine['device']}")
    text += [f"BLAS       {name}" for name in machine["blas"]]
    return text + [f"TRAP       {trap}" for trap in machine["traps"]]
