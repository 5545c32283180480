"""What the compiler makes of the CUDA kernels, with no device: PTX, registers, shared memory, spills, occupancy.

NVVM (Numba's way to PTX) and `ptxas` come with NVIDIA's toolkit or from PyPI with `numba-cuda[cu12]`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from kernels.cuda import Kernel, simulated
from kernels.cuda.occupancy import CORES, blocks_per_core, occupancy
from kernels.registry import KernelError

CAPABILITIES = tuple(CORES)
DROPPED = (7, 0)
"""The capability that compilers of CUDA 13 no longer know."""


class NoCompiler(KernelError):
    """NVVM or `ptxas` is not there, or cannot compile this."""


class Dropped(NoCompiler):
    """The compiler at hand is too new to know the capability asked for."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One kernel compiled for one capability; bytes of shared memory, spills and stack."""

    kernel: str
    cc: str
    threads: int
    registers: int
    shared: int
    spill_stores: int
    spill_loads: int
    stack: int
    blocks_per_core: int
    occupancy: float
    inner_fma: int
    inner_shared_loads: int
    """Multiply-adds, and reads of shared memory, in the stretch of PTX with the most multiply-adds."""

    @property
    def fma_per_load(self) -> float | None:
        return self.inner_fma / self.inner_shared_loads if self.inner_shared_loads else None


def own_kernels() -> Iterator[Kernel]:
    """Every CUDA kernel of the package."""
    from kernels.cuda import adam, conv, normalise

    for room in (conv, normalise, adam):
        yield from room.kernels()


def to_ptx(kernel: Kernel, cc: tuple[int, int]) -> str:
    """The kernel in NVIDIA's assembly for `cc`. Raises `NoCompiler`."""
    if simulated():
        raise NoCompiler("NUMBA_ENABLE_CUDASIM is set: the simulator compiles nothing")
    from kernels.cuda import cuda

    try:
        return cuda.compile_ptx(kernel.body, kernel.signature, cc=cc)[0]
    except (RuntimeError, OSError, ImportError) as error:
        if "driver" in str(error):
            why = "it calls a device function, which Numba compiles with a driver alone"
            raise NoCompiler(f"{kernel.name}: {why}") from error
        line = str(error).strip().partition("\n")[0]
        raise NoCompiler(f"NVVM is not there ({line}): install numba-cuda[cu12], or NVIDIA's toolkit") from error
    except Exception as error:
        if cc == DROPPED:
            line = " ".join(str(error).split())
            raise Dropped(f"this NVVM cannot compile for 7.0, as those of CUDA 13: {line}") from error
        raise


@functools.cache
def _assemblers() -> tuple[str, ...]:
    """Every `ptxas` at hand: from PyPI, named by CUDA_HOME, on the path."""
    found: list[str] = []
    for package in ("nvidia.cuda_nvcc", "nvidia.cu13"):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        found += [f"{place}/bin" for place in (spec.submodule_search_locations if spec else None) or ()]
    if "CUDA_HOME" in os.environ:
        found.append(f"{os.environ['CUDA_HOME']}/bin")
    paths = [shutil.which("ptxas", path=place) for place in [*found, os.environ.get("PATH", "")]]
    return tuple(dict.fromkeys(p for p in paths if p))


def assemble(ptx: str, cc: tuple[int, int], max_registers: int | None = None) -> str:
    """What `ptxas -v` says of `ptx`. Raises `NoCompiler` if none here takes it."""
    if not _assemblers():
        raise NoCompiler("ptxas is not there: install numba-cuda[cu12], or NVIDIA's toolkit")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx, encoding="utf-8")
        limit = [] if max_registers is None else [f"-maxrregcount={max_registers}"]
        options = ["-v", f"-arch=sm_{cc[0]}{cc[1]}", *limit, str(source), "-o", str(Path(folder) / "out")]
        for program in _assemblers():
            run = subprocess.run([program, *options], capture_output=True, text=True)
            if run.returncode == 0:
                return run.stdout + run.stderr
    line = (run.stdout + run.stderr).strip().splitlines()[0]
    raise (Dropped if cc == DROPPED else NoCompiler)(f"ptxas for {cc[0]}.{cc[1]}: {line}")


def inner_loop(ptx: str) -> tuple[int, int]:
    """`fma` and `ld.shared` instructions in the straight stretch that has the most `fma`."""
    best = (0, 0)
    for stretch in re.split(r"^\$\w+:|\bbra\b", ptx, flags=re.MULTILINE):
        counts = len(re.findall(r"\bfma\.rn\.f32\b", stretch)), len(re.findall(r"\bld\.shared\b", stretch))
        best = max(best, counts)
    return best


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


def inspect(kernel: Kernel, cc: tuple[int, int]) -> Finding:
    """Compile and assemble `kernel` for `cc`. Raises `NoCompiler`."""
    ptx = to_ptx(kernel, cc)
    said = assemble(ptx, cc, kernel.max_registers)
    registers, shared = _number(r"Used (\d+) registers", said), _number(r"(\d+) bytes smem", said)
    fma, loads = inner_loop(ptx)
    return Finding(
        kernel=kernel.name,
        cc=f"{cc[0]}.{cc[1]}",
        threads=kernel.threads,
        registers=registers,
        shared=shared,
        spill_stores=_number(r"(\d+) bytes spill stores", said),
        spill_loads=_number(r"(\d+) bytes spill loads", said),
        stack=_number(r"(\d+) bytes stack frame", said),
        blocks_per_core=blocks_per_core(cc, kernel.threads, registers, shared),
        occupancy=occupancy(cc, kernel.threads, registers, shared),
        inner_fma=fma,
        inner_shared_loads=loads,
    )


def _kernels_of_file(path: str) -> list[Kernel]:
    from kernels.registry import load_kernel_file

    load_kernel_file(path)
    module = sys.modules[f"kernel_file_{Path(path).stem}"]
    values = [list(v.values()) if isinstance(v, dict) else [v] for v in vars(module).copy().values()]
    found = list(dict.fromkeys(k for group in values for k in group if isinstance(k, Kernel)))
    if not found:
        raise KernelError(f"kernel file {path}: holds no kernels.cuda.Kernel, by itself or in a dict, at its top level")
    return found


def _capability(text: str) -> tuple[int, int]:
    for cc in CAPABILITIES:
        if text == f"{cc[0]}.{cc[1]}":
            return cc
    known = ", ".join(f"{a}.{b}" for a, b in CAPABILITIES)
    raise KernelError(f"--cc {text}: capabilities known here are {known}")


def _line(f: Finding) -> str:
    per = "" if f.fma_per_load is None or not f.inner_fma else f"{f.fma_per_load:.2f}"
    spills = f.spill_stores + f.spill_loads
    return (
        f"{f.kernel:28} {f.cc:4} {f.threads:7} {f.registers:9} {f.shared:8} {spills:7} {f.stack:6} "
        f"{f.blocks_per_core:6} {f.occupancy:9.0%} {per:>8}"
    )


@click.command("inspect")
@click.argument("op", required=False)
@click.option("--cc", "capabilities", multiple=True, help="Compute capability, e.g. 9.0; may be repeated [all].")
@click.option("--kernel-file", type=click.Path(), help="Inspect every kernels.cuda.Kernel of this Python file.")
@click.option("--ptx", "folder", type=click.Path(path_type=Path), help="Write the PTX into this folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of the table.")
def inspect_command(
    op: str | None, capabilities: tuple[str, ...], kernel_file: str | None, folder: Path | None, as_json: bool
) -> None:
    """Registers, shared memory, spills and occupancy of the CUDA kernels (of OP alone); no device is needed.

    fma/load: multiply-adds for each read of shared memory in the inner loop. A spill makes the exit status 1.
    """
    wanted = [_capability(text) for text in capabilities] or list(CAPABILITIES)
    kernels = _kernels_of_file(kernel_file) if kernel_file is not None else list(own_kernels())
    if op is not None:
        kernels = [k for k in kernels if k.name.split()[0] == op]
        if not kernels:
            raise KernelError(f"inspect: no CUDA kernel of {op!r}")
    findings: list[Finding] = []
    for cc in wanted:
        for kernel in kernels:
            try:
                findings.append(inspect(kernel, cc))
            except Dropped as error:
                if capabilities:
                    raise
                click.echo(f"{cc[0]}.{cc[1]} left out: {error}", err=True)
                break
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                name = f"{kernel.name.replace(' ', '-')}.sm_{cc[0]}{cc[1]}.ptx"
                (folder / name).write_text(to_ptx(kernel, cc), encoding="utf-8")
    if as_json:
        rows = [dataclasses.asdict(f) | {"fma_per_load": f.fma_per_load} for f in findings]
        click.echo(json.dumps(rows, indent=2))
    else:
        click.echo(f"{'kernel':28} {'cc':4} threads registers shared-B spill-B  stack blocks occupancy fma/load")
        for finding in findings:
            click.echo(_line(finding))
    if any(f.spill_stores or f.spill_loads or f.stack for f in findings):
        sys.exit(1)
