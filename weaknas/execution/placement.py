"""Which worker gets which GPU and how many threads; nothing here imports torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

from weaknas.errors import MOST_JOBS, InputError, check_whole

# Read by the libraries of linear algebra when they are imported.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def visible_gpus(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the GPUs of this process as ``CUDA_VISIBLE_DEVICES`` names them.

    Parameters
    ----------
    environment : mapping, optional
        Default: that of this process. Where it has ``CUDA_VISIBLE_DEVICES``, its
        entries are the GPUs, up to the first negative one, as CUDA reads them;
        else those that ``nvidia-smi`` lists, none where it is missing.
    """
    given = (os.environ if environment is None else environment).get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return _listed_gpus()
    names = [name.strip() for name in given.split(",")]
    end = next((i for i, name in enumerate(names) if not name or name.startswith("-")), None)
    return names[:end]


def _listed_gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=index", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):  # a driver that does not answer
        return []
    return done.stdout.split()


def place(workers: int, gpus: Sequence[str], workers_per_gpu: int | None = None) -> list[str]:
    """Return the GPU of each worker: worker k has GPU k // workers_per_gpu.

    Parameters
    ----------
    workers : int
    gpus : sequence of str
        Not empty.
    workers_per_gpu : int, optional
        Default: as few as give every worker a GPU.

    Raises
    ------
    InputError
        When there are more workers than the GPUs take.
    """
    share = -(-workers // len(gpus)) if workers_per_gpu is None else workers_per_gpu
    if workers > share * len(gpus):
        raise InputError(
            f"{workers} workers are more than {len(gpus)} GPUs take with"
            f" workers_per_gpu = {share}: at most {share * len(gpus)}"
        )
    return [gpus[worker // share] for worker in range(workers)]


def default_workers(gpus: Sequence[str], workers_per_gpu: int | None = None) -> int:
    """Return how many workers there are where nobody says: all that the GPUs take, or one.

    Raises
    ------
    InputError
        When `workers_per_gpu` is below 1, or given where there is no GPU.
    """
    if workers_per_gpu is None:
        return max(1, len(gpus))
    check_whole("workers_per_gpu", workers_per_gpu, most=MOST_JOBS)
    if not gpus:
        raise InputError(
            f"workers_per_gpu = {workers_per_gpu}: no GPU is visible (neither"
            " CUDA_VISIBLE_DEVICES nor nvidia-smi names one)"
        )
    return len(gpus) * workers_per_gpu


def environments(
    workers: int,
    gpus: Sequence[str] = (),
    workers_per_gpu: int | None = None,
    cores: int | None = None,
) -> list[dict[str, str]]:
    """Return the variables that each worker process is started with.

    Parameters
    ----------
    workers : int
    gpus : sequence of str
        Names for ``CUDA_VISIBLE_DEVICES``; empty for workers without one.
    workers_per_gpu : int, optional
        See `place`.
    cores : int, optional
        Shared among the workers as threads, at least one each; default: those of
        this process. Numbers of threads that the user has set are left alone.
    """
    threads = str(max(1, (cores or _cores()) // workers))
    common = {name: os.environ.get(name, threads) for name in _THREADS}
    if not gpus:
        return [dict(common) for _ in range(workers)]
    places = place(workers, gpus, workers_per_gpu)
    return [common | {"CUDA_VISIBLE_DEVICES": gpu} for gpu in places]


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
