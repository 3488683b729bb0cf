"""Which worker gets which GPU; no GPU is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.execution.placement import default_workers, environments, place, visible_gpus

UUID = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"


@pytest.mark.parametrize(
    ("value", "gpus"),
    [
        ("0,1", ["0", "1"]),
        ("3", ["3"]),
        ("2, 0 ", ["2", "0"]),
        (f"{UUID},1", [UUID, "1"]),
        ("", []),
        ("-1", []),
        ("0,-1,1", ["0"]),  # CUDA reads up to the first that is none
    ],
)
def test_the_variable_names_the_gpus(value: str, gpus: list[str]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": value}) == gpus


def program(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "nvidia-smi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def test_nvidia_smi_lists_them_where_the_variable_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "[ $1 = --query-gpu=index ] && printf '0\\n1\\n2\\n'", monkeypatch)
    assert visible_gpus({}) == ["0", "1", "2"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1", "2"]


def test_without_driver_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "echo no devices were found; exit 6", monkeypatch)
    assert visible_gpus({}) == []
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert visible_gpus({}) == []


@pytest.mark.parametrize(
    ("workers", "per_gpu", "expected"),
    [
        (2, None, "01"),
        (4, None, "0011"),
        (3, None, "001"),
        (1, None, "0"),
        (1, 2, "0"),
        (3, 2, "001"),
        (4, 2, "0011"),
        (6, 3, "000111"),
    ],
)
def test_worker_k_has_gpu_k_over_workers_per_gpu(
    workers: int, per_gpu: int | None, expected: str
) -> None:
    assert "".join(place(workers, ["0", "1"], per_gpu)) == expected


@settings(deadline=None)
@given(workers=st.integers(1, 40), gpus=st.integers(1, 9))
def test_every_worker_has_a_gpu_and_none_more_than_needed(workers: int, gpus: int) -> None:
    names = [str(index) for index in range(gpus)]
    places = place(workers, names)
    assert len(places) == workers
    assert places == sorted(places, key=int)
    assert max(places.count(name) for name in names) == -(-workers // gpus)


def test_more_workers_than_the_gpus_take_are_refused() -> None:
    with pytest.raises(InputError, match=r"5 workers are more than 2 GPUs take .* at most 4"):
        place(5, ["0", "1"], 2)


def test_how_many_there_are_where_nobody_says() -> None:
    assert default_workers([]) == 1
    assert default_workers(["0", "1", "2"]) == 3
    assert default_workers(["0", "1", "2"], 2) == 6
    with pytest.raises(InputError, match="at least 1, not 0"):
        default_workers(["0"], 0)
    with pytest.raises(InputError, match="no GPU is visible"):
        default_workers([], 2)


def test_cores_are_shared_out_as_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert [e["OMP_NUM_THREADS"] for e in environments(3, cores=8)] == ["2", "2", "2"]
    assert environments(9, cores=8)[8]["MKL_NUM_THREADS"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in environments(1)[0]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")  # the user's own word
    (only,) = environments(1, ["7"], cores=8)
    assert only == {
        "OMP_NUM_THREADS": "5",
        "OPENBLAS_NUM_THREADS": "8",
        "MKL_NUM_THREADS": "8",
        "CUDA_VISIBLE_DEVICES": "7",
    }
