from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.spaces.mobilenetv3 import LatencyTable, MobileNetV3
from weaknas.spaces.mobilenetv3.latency import FORMATS, required_parts
from weaknas.spaces.mobilenetv3.skeleton import Skeleton


def made_up(format: str, width: float = 1.0, resolution: int = 224) -> dict[str, float]:
    keys = sorted(required_parts(Skeleton(width, resolution), format))
    return {key: 1 + index / 1024 for index, key in enumerate(keys)}


@pytest.mark.parametrize(("name", "milliseconds"), [("30", 29.97), ("41", 39.91), ("50", 49.78)])
def test_phone_table_gives_the_published_sums(
    shared_data: Any, name: str, milliseconds: float
) -> None:
    path = shared_data("mobilenet/note10_lut_w1.2.json.gz")
    with shared_data("mobilenet/ofa_specialized_mbv3.csv").open() as stream:
        row = next(
            r for r in csv.DictReader(stream) if r["net_id"].startswith(f"note10_lat-{name}ms")
        )
    space = MobileNetV3(1.2, int(row["r"]), latency=path)
    genotype = space.parse(",".join(row[key] for key in ("ks", "e", "d", "r")))
    assert round(float(space.latency(genotype[None])[0]), 2) == milliseconds


def test_desktop_table_has_all_blocks(shared_data: Any) -> None:
    path = shared_data("mobilenet/i7-8700K_lut.json.gz")
    table = LatencyTable.read(path)
    assert table.format == "desktop"
    extremes = np.stack([np.zeros(46, np.int16), np.r_[np.full(45, 2), 0]])
    for width in (1.0, 1.2):
        space = MobileNetV3(width, resolutions=(96, 160, 224, 236, 256), latency=table)
        small, large = space.latency(extremes)
        assert 0 < small < large


@pytest.mark.parametrize("format", FORMATS)
def test_latency_is_the_sum_over_the_blocks_there_are(format: str) -> None:
    blocks = made_up(format)
    table = LatencyTable({None: blocks}, format)
    space = MobileNetV3(latency=table)
    skeleton, key = Skeleton(1.0, 224), FORMATS[format].key
    rows = space.sample(20, np.random.default_rng(0))
    for row, latency in zip(rows, space.latency(rows), strict=True):
        config = space.decode(row)
        chosen = zip(range(20), config["ks"], config["e"], strict=True)
        parts = [*skeleton.fixed, *(skeleton.block(i, k, e) for i, k, e in chosen if k)]
        keys = [key(part) for part in parts]
        assert latency == pytest.approx(sum(blocks[k] for k in keys if k))
    assert "latency" in space.costs()
    assert "latency" not in MobileNetV3().costs()


def test_keys_of_both_formats() -> None:
    # Written down from the published files.
    assert (
        "expanded_conv-input:55x55x32-output:28x28x48-expand:128-kernel:5-stride:2-idskip:0-se:1-hs:0"
        in required_parts(Skeleton(1.2, 220), "phone")
    )
    assert (
        "MBConv-input:112x112x16-output:56x56x24-expand:3-kernel:3-stride:2-idskip:0-se:0"
        in required_parts(Skeleton(1.0, 224), "desktop")
    )


@pytest.mark.parametrize("name", ["own.json", "own.json.gz"])
@pytest.mark.parametrize("resolutions", [(None,), (192, 224)])
def test_a_table_that_was_written_reads_back(
    tmp_path: Path, name: str, resolutions: tuple[int | None, ...]
) -> None:
    blocks = {r: made_up("phone", 1.2, r or 224) for r in resolutions}
    LatencyTable(blocks).write(tmp_path / name)
    table = LatencyTable.read(tmp_path / name)
    assert (table.blocks, table.format, table.name) == (blocks, "phone", name)
    assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")


def test_entries_of_once_for_all_have_a_mean(tmp_path: Path) -> None:
    content = {key: {"mean": value, "count": 100} for key, value in made_up("phone").items()}
    path = tmp_path / "224.json"
    path.write_text(json.dumps(content))
    assert LatencyTable.read(path).blocks == {None: made_up("phone")}


def test_a_missing_block_is_named(tmp_path: Path) -> None:
    blocks = made_up("phone")
    lost = next(key for key in blocks if "kernel:7" in key)
    del blocks[lost]
    path = tmp_path / "partial.json"
    path.write_text(json.dumps(blocks))
    with pytest.raises(InputError, match=r"partial\.json lacks 1 ") as caught:
        MobileNetV3(latency=path)
    assert lost in str(caught.value)


def test_a_missing_resolution_is_named() -> None:
    table = LatencyTable({224: made_up("phone")})
    with pytest.raises(InputError, match=r"resolution of latency table '236'.*allowed: 224"):
        MobileNetV3(resolution=236, latency=table)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"[1, 2]",
        b"3",
        b'{"a": "b"}',
        b'{"224": 3}',
        b'{"some-key": 1.0}',
        b'{"expanded_conv-x": {"median": 1}}',
        gzip.compress(b"{}", mtime=0)[:-3],  # the time would be in the name of the test
    ],
)
def test_a_damaged_table_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged\.json"):
        LatencyTable.read(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json"):
        MobileNetV3(latency=tmp_path / "none.json")


def test_a_latency_is_a_number() -> None:
    blocks = made_up("phone")
    blocks[next(iter(blocks))] = float("nan")
    with pytest.raises(InputError, match="is nan"):
        LatencyTable({None: blocks})
    with pytest.raises(InputError, match="did you mean 'phone'"):
        LatencyTable({None: {}}, "fone")


def test_a_space_without_a_table_says_how_to_give_one() -> None:
    with pytest.raises(InputError, match="latency=path"):
        MobileNetV3().latency(np.zeros((1, 45), np.int16))
