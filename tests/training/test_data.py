"""Data sets: tiny files in the official formats, and what becomes of damaged ones."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.training import load_dataset
from weaknas.training.data import stratified
from weaknas.training.data.fashion_mnist import read_idx
from weaknas.training.data.folder import read as read_folder

RNG = np.random.default_rng(0)


def test_digits_has_the_documented_splits() -> None:
    data = load_dataset("digits")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [899, 449, 449]
    assert data.shape == (1, 8, 8)
    assert data.classes == 10
    everything = np.concatenate([s.pixels for s in (data.train, data.validation, data.test)])
    # 1,797 images, all but a few of them different: no image is in two splits.
    assert len(np.unique(everything.reshape(1797, -1), axis=0)) == 1797
    for split in (data.train, data.validation, data.test):
        counts = np.bincount(split.labels, minlength=10)
        assert counts.max() - counts.min() <= 0.05 * len(split)


def test_digits_is_the_same_for_ever() -> None:
    # The splits must not change with a version of a library, or scores cannot be compared.
    assert load_dataset("digits").describe()["checksum"] == "fa113c5f03cbfd3eb8d20b2637a07350"


def test_moments_are_those_of_the_training_images() -> None:
    data = load_dataset("digits")
    assert data.mean[0] == pytest.approx((data.train.pixels / 255).mean())
    assert data.std[0] == pytest.approx((data.train.pixels / 255).std())


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_every_beginning_has_the_classes_in_proportion(labels: list[int]) -> None:
    array = np.array(labels)
    order = stratified(array)
    assert sorted(order.tolist()) == list(range(len(labels)))
    shares = np.bincount(array, minlength=4) / len(labels)
    for count in range(1, len(labels) + 1):
        got = np.bincount(array[order[:count]], minlength=4)
        assert np.abs(got - count * shares).max() <= 2


def test_parts_lie_within_each_other() -> None:
    data = load_dataset("digits")
    small, large = data.part(0.1), data.part(0.5)
    assert (len(small.train), len(large.train)) == (90, 450)
    rows = {image.tobytes() for image in large.train.pixels}
    assert {image.tobytes() for image in small.train.pixels} <= rows
    assert small.validation is data.validation
    with pytest.raises(InputError, match=r"above 0 and at most 1, not 1\.5"):
        data.part(1.5)


def test_merged_data_train_on_the_validation_images() -> None:
    data = load_dataset("digits")
    assert len(data.merged().train) == 899 + 449
    assert data.merged().test is data.test


def test_unknown_names_have_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'cifar10'"):
        load_dataset("cifar-10")
    with pytest.raises(InputError, match="comes with scikit-learn"):
        load_dataset("digits", "/somewhere")


# -- idx ----------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_fashion_mnist(folder: Path, packed: bool, dotted: bool = False) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for prefix, count in (("train", 60), ("t10k", 20)):
        made[f"{prefix}-images-idx3-ubyte"] = RNG.integers(0, 256, (count, 5, 5), dtype=np.uint8)
        made[f"{prefix}-labels-idx1-ubyte"] = np.arange(count, dtype=np.uint8) % 10
    for name, array in made.items():
        place = name.replace("-idx", ".idx") if dotted else name
        if packed:
            (folder / f"{place}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / place).write_bytes(idx(array))
    return made


@pytest.mark.parametrize(("packed", "dotted"), [(True, False), (False, False), (True, True)])
def test_fashion_mnist(tmp_path: Path, packed: bool, dotted: bool) -> None:
    made = write_fashion_mnist(tmp_path, packed, dotted)
    data = load_dataset("fashion-mnist", tmp_path)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [50, 10, 20]
    assert data.class_names[9] == "Ankle boot"
    np.testing.assert_array_equal(data.test.pixels[:, 0], made["t10k-images-idx3-ubyte"])
    np.testing.assert_array_equal(data.test.labels, np.arange(20) % 10)
    held = {image.tobytes() for image in data.validation.pixels}
    assert held <= {image.tobytes() for image in made["train-images-idx3-ubyte"]}
    assert len(load_dataset("fashion-mnist", tmp_path, validation=20).train) == 40


def test_torch_takes_what_was_read_without_a_warning(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from weaknas.training.sources import open_source

    write_fashion_mnist(tmp_path, packed=True)
    data = load_dataset("fashion-mnist", tmp_path)
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # else it warns once in a process, perhaps before this test
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for split in (data.train, data.validation, data.test):
                open_source(split, torch.device("cpu"))
    finally:
        torch.set_warn_always(always)


def test_data_folders_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_fashion_mnist(tmp_path / "two" / "fashion-mnist", packed=True)
    monkeypatch.setenv("WEAKNAS_DATA", f"{tmp_path / 'one'}:{tmp_path / 'two'}")
    assert len(load_dataset("fashion-mnist").test) == 20


def test_missing_files_are_named_and_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.*Nothing is downloaded"):
        load_dataset("fashion-mnist", tmp_path)
    with pytest.raises(InputError, match="cifar-10-batches-py or cifar-10-batches-bin"):
        load_dataset("cifar10", tmp_path)
    with pytest.raises(InputError, match="train_data_batch_1 expected"):
        load_dataset("imagenet16-120", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x02ab", "not an idx file of bytes with 3 dimensions"),
        (idx(np.zeros((2, 2, 2)))[:-1], "damaged; 23 bytes where its header, 2 x 2 x 2, asks"),
        (b"\x00\x00\x08\x03\x00\x00", "damaged"),
    ],
)
def test_damaged_idx(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_idx(path, 3)


def test_damaged_gzip(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    for content in (b"no gzip", gzip.compress(idx(np.zeros((9, 9, 9))))[:-12]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"images\.gz: "):
            read_idx(path, 3)


def test_labels_are_checked(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path, packed=False)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(idx(np.full(60, 10)))
    with pytest.raises(InputError, match="the label 10 is not among the 10 classes"):
        load_dataset("fashion-mnist", tmp_path)
    labels.write_bytes(idx(np.zeros(59)))
    with pytest.raises(InputError, match="59 labels for 60 images"):
        load_dataset("fashion-mnist", tmp_path)


# -- pickles and records -------------------------------------------------------------------


def batch(count: int, classes: int, size: int = 32, first: int = 0) -> dict[str, object]:
    pixels = RNG.integers(0, 256, (count, 3 * size * size), dtype=np.uint8)
    return {"data": pixels, "labels": [first + row % classes for row in range(count)]}


def as_python2(content: dict[str, object]) -> bytes:
    """Pickle as Python 2 with numpy 1 did: text and bytes alike as its only string type."""
    array = content["data"]
    assert isinstance(array, np.ndarray)

    def short(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text

    def long(text: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(text)) + text

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n(" + short(b"u1") + number(0) + number(1) + b"tR("
    dtype += number(3) + short(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    made = b"\x80\x02}(" + short(b"data") + b"cnumpy.core.multiarray\n_reconstruct\n"
    made += b"(cnumpy\nndarray\n(" + number(0) + b"t" + short(b"b") + b"tR("
    made += number(1) + b"(" + b"".join(number(n) for n in array.shape) + b"t" + dtype
    made += b"\x89" + long(array.tobytes()) + b"tb"
    labels = content["labels"]
    assert isinstance(labels, list)
    made += short(b"labels") + b"](" + b"".join(number(n) for n in labels) + b"eu."
    return made


def test_the_made_pickle_is_one_of_python2() -> None:
    made = batch(2, 2)
    again = pickle.loads(as_python2(made), encoding="latin1")  # noqa: S301 our own
    np.testing.assert_array_equal(again["data"], made["data"])
    assert again["labels"] == made["labels"]


def write_cifar10(folder: Path, form: str) -> list[dict[str, object]]:
    folder.mkdir(parents=True, exist_ok=True)
    batches = [batch(20, 10) for _ in range(6)]
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for name, made in zip(names, batches, strict=True):
        if form == "python2":
            (folder / name).write_bytes(as_python2(made))
        elif form == "python3":
            (folder / name).write_bytes(pickle.dumps(made))
        else:
            rows = np.column_stack([np.array(made["labels"], dtype=np.uint8), made["data"]])
            (folder / f"{name}.bin").write_bytes(rows.astype(np.uint8).tobytes())
    return batches


def pack(folder: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=folder.name)


@pytest.mark.parametrize("form", ["python2", "python3", "binary"])
@pytest.mark.parametrize("packed", [False, True])
def test_cifar10(tmp_path: Path, form: str, packed: bool) -> None:
    name = "cifar-10-batches-bin" if form == "binary" else "cifar-10-batches-py"
    made = write_cifar10(tmp_path / "unpacked" / name, form)
    place = tmp_path / "unpacked"
    if packed:
        place = tmp_path / "cifar-10.tar.gz"
        pack(tmp_path / "unpacked" / name, place)
    data = load_dataset("cifar10", place)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [80, 20, 20]
    assert data.shape == (3, 32, 32)
    expected = np.asarray(made[-1]["data"]).reshape(-1, 3, 32, 32)
    np.testing.assert_array_equal(data.test.pixels, expected)
    np.testing.assert_array_equal(data.test.labels, made[-1]["labels"])


def test_cifar100_binary_has_fine_labels_second(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (200, 3072), dtype=np.uint8)
    fine = np.arange(200) % 100
    rows = np.column_stack([fine // 5, fine, pixels]).astype(np.uint8).tobytes()
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(rows)
    data = load_dataset("cifar100", tmp_path)
    np.testing.assert_array_equal(data.test.labels, fine)
    np.testing.assert_array_equal(data.test.pixels.reshape(200, -1), pixels)


def test_cifar100_python_has_fine_labels(tmp_path: Path) -> None:
    made = batch(200, 100)
    content = {"data": made["data"], "fine_labels": made["labels"], "coarse_labels": [0] * 200}
    for name in ("train", "test"):
        (tmp_path / name).write_bytes(pickle.dumps(content))
    np.testing.assert_array_equal(load_dataset("cifar100", tmp_path).test.labels, made["labels"])


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("run!",))


def test_pickles_run_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cifar10(tmp_path, "python3")
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps({"data": Evil(), "labels": [0]}))
    with pytest.raises(InputError, match=r"data_batch_3: the pickle asks for builtins\.print"):
        load_dataset("cifar10", tmp_path)
    assert "run!" not in capsys.readouterr().out


def test_damaged_cifar(tmp_path: Path) -> None:
    write_cifar10(tmp_path, "python3")
    (tmp_path / "data_batch_2").unlink()
    with pytest.raises(InputError, match="the file data_batch_2 of cifar-10-batches-py is missing"):
        load_dataset("cifar10", tmp_path)
    wrong = {"data": np.zeros((2, 3072), np.float32), "labels": [0, 1]}
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(wrong))
    with pytest.raises(InputError, match="data_batch_2: an array of 'f4' where bytes"):
        load_dataset("cifar10", tmp_path)
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(batch(3, 10, size=16)))
    with pytest.raises(InputError, match=r"data are \(3, 768\), where \(3, 3072\) is expected"):
        load_dataset("cifar10", tmp_path)
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(batch(3, 10))[:100])
    with pytest.raises(InputError, match="data_batch_2"):
        load_dataset("cifar10", tmp_path)


def test_damaged_archives_and_records(tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(b"no archive")
    with pytest.raises(InputError, match="damaged, or not of a known format"):
        load_dataset("cifar10", tmp_path)
    archive.unlink()
    write_cifar10(tmp_path, "binary")
    (tmp_path / "test_batch.bin").write_bytes(b"too short")
    with pytest.raises(InputError, match=r"test_batch\.bin: damaged; 9 bytes"):
        load_dataset("cifar10", tmp_path)


def test_archives_do_not_write_files(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    archive = tmp_path / "inner" / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("../cifar-10-batches-py/data_batch_1")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(InputError, match="the data set 'cifar10' is not at"):
        load_dataset("cifar10", archive)
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", "cifar.tar.gz"]


def test_imagenet16(tmp_path: Path) -> None:
    for number in range(1, 11):
        made = batch(240, 150, 16, first=1)
        (tmp_path / f"train_data_batch_{number}").write_bytes(as_python2(made))
    made = batch(300, 150, 16, first=1)
    (tmp_path / "val_data").write_bytes(pickle.dumps(made))
    data = load_dataset("imagenet16-120", tmp_path)
    assert data.shape == (3, 16, 16)
    assert data.classes == 120
    # 150 classes in the files: of 240 rows 120 + 90 are kept, of 300 240.
    assert len(data.train) == 10 * 210
    assert (len(data.validation), len(data.test)) == (120, 120)
    assert np.bincount(data.test.labels).tolist() == [1] * 120
    assert data.train.labels.min() == 0


# -- folders --------------------------------------------------------------------------------


def test_folders(tmp_path: Path) -> None:
    for split, count in (("train", 20), ("val", 2)):
        for name in ("n01", "n02"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number:02}.JPEG").touch()
            (folder / "notes.txt").touch()
    data = read_folder(tmp_path, None)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [36, 4, 4]
    assert data.class_names == ("n01", "n02")
    assert data.test.names.tolist() == ["n01/00.JPEG", "n01/01.JPEG", "n02/00.JPEG", "n02/01.JPEG"]
    assert np.bincount(data.validation.labels).tolist() == [2, 2]
    (tmp_path / "val" / "n03").mkdir()
    with pytest.raises(InputError, match="not the classes of the training images"):
        read_folder(tmp_path, None)
    with pytest.raises(InputError, match="a folder train with a folder for each class"):
        read_folder(tmp_path / "val", None)
