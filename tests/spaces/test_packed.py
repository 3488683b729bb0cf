"""Files that unpack to more than they should: refused before memory or time is gone."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from weaknas import get_benchmark, get_space
from weaknas.errors import InputError
from weaknas.spaces.files.opcodes import CheckedPickles
from weaknas.spaces.files.packed import open_unpacked, read_arrays
from weaknas.spaces.files.pickles import PLAIN_AND_TENSORS, load_container, load_restricted
from weaknas.spaces.files.tables import read_columns, write_columns
from weaknas.spaces.files.torch_files import read_tensors
from weaknas.training import load_dataset
from weaknas.training.data._pickles import read_batch

MANY = 1 << 26  # zeros: a few hundred bytes to 64 kB packed


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def text(content: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(content)) + content


#: Each a pickle of 2 MB at most which Python's reader answers with gigabytes, or never.
BOMBS = {
    "memo": b"Nr\xff\xff\xff\x7f.",
    "memo-in-text": b"Np2147483647\n.",
    "key-of-tuples": b"}K\x01K\x02\x86" + b"2\x86" * 60 + b"Ns.",
    "key-of-memoized-tuples": b"}" + b"K\x01\x85q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"Ns.",
    "set-of-tuples": b"\x8f(N\x85" + b"2\x86" * 60 + b"\x90.",
    "frozenset-of-tuples": b"(N\x85" + b"2\x86" * 60 + b"\x91.",
    "nested-tuples": b"}N" + b"\x85" * 1_000_000 + b"Ns.",
    "bytearray": b"\x96" + struct.pack("<Q", 1 << 40) + b"abc.",
    "bytes": b"\x8e" + struct.pack("<Q", 1 << 62) + b"abc.",
    "text-again-and-again": (
        b"0".join([named("_codecs", "encode") + b"q\x00", text(b"x" * 100_000) + b"q\x01"])
        + b"0" + text(b"latin1") + b"q\x020](" + b"h\x00h\x01h\x02\x86R" * 100_000 + b"e."
    ),
    "set-again-and-again": (
        named("builtins", "set") + b"q\x000](" + b"K\x01" * 10_000 + b"eq\x010]("
        + b"h\x00h\x01\x85R" * 100_000 + b"e."
    ),
    "what-is-called-is-changed": named("builtins", "set") + b")b.",
}  # fmt: skip


def archived(member: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", member)
    return buffer.getvalue()


@pytest.mark.parametrize("bomb", BOMBS)
def test_pickles_that_ask_for_too_much(bomb: str, tmp_path: Path) -> None:
    content = b"\x80\x05" + BOMBS[bomb]
    stream = CheckedPickles(io.BytesIO(content))
    with pytest.raises(InputError, match=r"^bomb: ") as caught:
        load_restricted(stream, PLAIN_AND_TENSORS, name="bomb", encoding="latin1")
    assert "\n" not in str(caught.value)
    path = tmp_path / "bomb"
    for packed in (content, archived(content), bz2.compress(content)):
        path.write_bytes(packed)
        with pytest.raises(InputError, match=r"bomb: "), path.open("rb") as file:
            load_container(file, str(path))
    path.write_bytes(archived(content))
    with pytest.raises(InputError, match=r"bomb: "):
        read_tensors(path)


def test_an_array_whose_content_is_a_number() -> None:
    array = (
        named("numpy", "ndarray") + b"K\x00\x85U\x01b\x87R(K\x01K\x01K\x01\x86"
        + named("numpy", "dtype") + b"U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89\x8a\x05\x00\x00\x00\x00\x01tb"
    )  # fmt: skip
    content = (
        b"\x80\x02}(U\x04data" + named("numpy.core.multiarray", "_reconstruct") + array
        + b"U\x06labels](K\x01eu."
    )  # fmt: skip
    with pytest.raises(InputError, match="batch: an array whose content is a int"):
        read_batch(content, "batch", ["labels"], (1, 1, 1))


def test_values_that_are_shared_are_read_once(tmp_path: Path) -> None:
    # Each list holds the one before twice: 2 ** 60 values, if each were counted.
    content = b"\x80\x02]q\x00"
    for place in range(60):
        content += (
            b"0](" + b"h" + bytes([place]) + b"h" + bytes([place]) + b"eq" + bytes([place + 1])
        )
    path = tmp_path / "shared.pth"
    path.write_bytes(archived(content + b"."))
    read = read_tensors(path)
    for _ in range(60):
        assert read[0] is read[1]
        read = read[0]
    assert read == []


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"plain", os.urandom(1 << 20), bytes(1 << 20)):
        path.write_bytes(pack(content))
        with open_unpacked(path) as file:
            assert file.read() == content
    path.write_bytes(pack(bytes(MANY)))
    with open_unpacked(path) as file, pytest.raises(InputError, match=r"unpacks to more than \d"):
        file.read()


def test_devices_and_folders_are_not_read(tmp_path: Path) -> None:
    for path in (Path("/dev/zero"), tmp_path):
        if path.exists():
            with pytest.raises(InputError, match=r"cannot be read \(it is (a fold|no reg)"):
                read_tensors(path)
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        read_arrays(tmp_path / "none.npz")


def test_archives_of_numpy_and_torch(tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    np.savez(path, a=np.arange(5), b=np.eye(2))
    np.testing.assert_array_equal(read_arrays(path)["b"], np.eye(2))
    np.savez_compressed(path, a=np.zeros(MANY, np.uint8))
    with pytest.raises(InputError, match=r"many\.npz: unpacks to more"):
        read_arrays(path)
    path.write_bytes(archived(b"\x80\x02](" + b"N" * MANY + b"e.", zipfile.ZIP_DEFLATED))
    with pytest.raises(InputError, match=r"many\.npz: unpacks to more"):
        read_tensors(path)
    np.savez(path, a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="pickle"):
        read_arrays(path)


def test_data_sets_and_tables(tmp_path: Path) -> None:
    folder = tmp_path / "cifar"
    folder.mkdir()
    with tarfile.open(folder / "cifar-10.tar.gz", "w:gz") as archive:
        for name in ("junk", "cifar-10-batches-bin/test_batch.bin"):
            member = tarfile.TarInfo(name)
            member.size = MANY
            archive.addfile(member, io.BytesIO(bytes(MANY)))
    with pytest.raises(InputError, match=r"cifar-10\.tar\.gz: unpacks to more"):
        load_dataset("cifar10", folder)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(MANY)))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(MANY)))
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz: unpacks to more"):
        load_dataset("fashion-mnist", tmp_path)
    latency = tmp_path / "latency.json.gz"
    latency.write_bytes(gzip.compress(b'{"a": "' + b" " * MANY + b'"}'))
    with pytest.raises(InputError, match=r"latency\.json\.gz: unpacks to more"):
        get_space("mobilenetv3", latency=str(latency))


def test_tables_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "many.parquet"
    write_columns(path, {"a": np.zeros(MANY // 8)}, "here")
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match=r"many\.parquet: .*unpacks to more"):
        read_columns(path)
    pq.write_table(
        pa.table({"a": pa.array(np.zeros(MANY // 8, np.int8)), "score": [1.0] * (MANY // 8)}), path
    )
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\n[choices]\na = [0, 1]\n'
        '[table]\npath = "many.parquet"\nobjective = "score"\n'
    )
    with pytest.raises(InputError, match=r"many\.parquet: .*unpacks to more"):
        get_benchmark(str(tmp_path / "mine.toml"))


def test_pickles_are_checked_across_the_pieces_that_are_read() -> None:
    value = {("a", i): [float(i), "x" * (i % 300), None, i**9, b"y" * (i % 7)] for i in range(9000)}
    value["long"] = ["z" * 700_000, 1]  # longer than a piece

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 1, 1 + self.tell() % 977))

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps(value, protocol)
        stream = CheckedPickles(Slow(content + content + b"rest"))
        for _ in range(2):
            assert load_restricted(stream, PLAIN_AND_TENSORS) == value
        assert stream.take(4) == b"rest"
        assert stream.passed == 2 * len(content)
