from __future__ import annotations

import collections
import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.spaces.files.torch_files import read_state_dict, read_tensors

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
WEIGHT = np.arange(12, dtype="<f4").reshape(3, 4)
STATE = {"0.weight": WEIGHT, "0.bias": np.array([1.5, -2.0], "<f8"), "n": np.array(7, "<i8")}
KINDS = {"<f4": "Float", "<f8": "Double", "<i8": "Long"}


class Named:
    """A name that the pickle asks for, and what it is called with."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments = name, arguments


class Reference:
    """What a pickle says of data outside it."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts


def opcodes(value: Any) -> bytes:
    """Write the few things that a state dict is made of, as torch's pickler does."""
    if isinstance(value, Named):
        module, _, name = value.name.rpartition(".")
        head = f"c{module}\n{name}\n".encode()
        return head + (opcodes(value.arguments) + b"R" if value.arguments else b"")
    if isinstance(value, Reference):
        return opcodes(value.parts) + b"Q"
    if isinstance(value, dict):
        items = b"".join(opcodes(k) + opcodes(v) for k, v in value.items())
        return b"ccollections\nOrderedDict\n)R(" + items + b"u"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(opcodes, value)) + b"t"
    return pickle.dumps(value, protocol=2)[2:-1]


def dump(value: Any) -> bytes:
    return b"\x80\x02" + opcodes(value) + b"."


def tensor(key: str, array: Any, legacy: bool, **changes: Any) -> Named:
    values = np.asarray(array)
    strides = tuple(step // values.itemsize for step in values.strides)
    fields = {"offset": 0, "shape": values.shape, "strides": strides, "length": values.size}
    fields |= changes
    storage = Reference(
        "storage", Named(f"torch.{KINDS[values.dtype.str]}Storage"), key, "cuda:0",
        fields["length"], *([None] if legacy else []),
    )  # fmt: skip
    return Named("torch._utils._rebuild_tensor_v2", storage, fields["offset"], fields["shape"],
                 fields["strides"], False, {})  # fmt: skip


def sequence(state: dict[str, Any], **changes: Any) -> bytes:
    content = {name: tensor(name, array, True, **changes) for name, array in state.items()}
    system = {"protocol_version": PROTOCOL, "little_endian": True}
    parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, system)]
    parts += [dump(content), pickle.dumps(sorted(state), 2)]
    for name in sorted(state):
        parts += [struct.pack("<q", np.size(state[name])), np.asarray(state[name]).tobytes()]
    return b"".join(parts)


def archive(state: dict[str, Any], content: Any = None, **changes: Any) -> bytes:
    content = content or {n: tensor(n, array, False, **changes) for n, array in state.items()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("model/data.pkl", dump(content))
        file.writestr("model/byteorder", "little")
        for name, array in state.items():
            file.writestr(f"model/data/{name}", np.asarray(array).tobytes())
    return stream.getvalue()


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.pth"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("container", [sequence, archive])
def test_both_containers_read_the_same(tmp_path: Path, container: Any) -> None:
    state = read_state_dict(written(tmp_path, container(STATE)))
    assert list(state) == list(STATE)
    for name, array in STATE.items():
        assert state[name].dtype == array.dtype
        assert np.array_equal(state[name], array)


def test_views_of_one_storage(tmp_path: Path) -> None:
    content = {
        "turned": tensor("s", WEIGHT, False, shape=(4, 3), strides=(1, 4)),
        "row": tensor("s", WEIGHT, False, offset=4, shape=(4,), strides=(1,)),
        "scalar": tensor("s", WEIGHT, False, offset=11, shape=(), strides=()),
        "empty": tensor("s", WEIGHT, False, shape=(0, 4), strides=(4, 1)),
        "parameter": Named("torch._utils._rebuild_parameter", tensor("s", WEIGHT, False), True, {}),
    }
    state = read_state_dict(written(tmp_path, archive({"s": WEIGHT}, content)))
    assert np.array_equal(state["turned"], WEIGHT.T)
    assert np.array_equal(state["row"], WEIGHT[1])
    assert state["scalar"] == 11
    assert state["empty"].shape == (0, 4)
    assert np.array_equal(state["parameter"], WEIGHT)


def test_a_checkpoint_with_a_state_dict_in_it(tmp_path: Path) -> None:
    content = {"epoch": 3, "state_dict": {"w": tensor("w", WEIGHT, False)}}
    path = written(tmp_path, archive({"w": WEIGHT}, content))
    assert np.array_equal(read_state_dict(path)["w"], WEIGHT)
    assert read_tensors(path)["epoch"] == 3


@pytest.mark.parametrize("container", [sequence, archive])
@pytest.mark.parametrize(
    "changes",
    [
        {"shape": (4, 4)},
        {"offset": 1},
        {"offset": -1},
        {"strides": (-4, 1)},
        {"strides": (1 << 40, 1)},
        {"shape": (1 << 40, 1), "strides": (0, 1)},
        {"shape": (-3, -4)},
        {"shape": (3, 4), "strides": (4,)},
        {"length": 13},
        {"length": -1},
        {"shape": "ab"},
    ],
)
def test_tensors_that_do_not_fit_their_storage(
    tmp_path: Path, container: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=r"model\.pth"):
        read_state_dict(written(tmp_path, container({"w": WEIGHT}, **changes)))


@pytest.mark.parametrize("container", [sequence, archive])
def test_damaged_files_are_refused(tmp_path: Path, container: Any) -> None:
    whole = container(STATE)
    for end in range(0, len(whole) - 1, 23):
        with pytest.raises(InputError, match=r"model\.pth"):
            read_state_dict(written(tmp_path, whole[:end]))


def test_nothing_is_run(tmp_path: Path) -> None:
    target = tmp_path / "ran"
    for content in ({"w": Named("os.system", f"touch {target}")}, Named("builtins.eval", "1")):
        with pytest.raises(InputError, match="not allowed"):
            read_state_dict(written(tmp_path, archive({}, content)))
    assert not target.exists()


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("m/data.pkl", dump(content))
    with pytest.raises(InputError, match="no state dict"):
        read_state_dict(written(tmp_path, data.getvalue()))


def test_a_missing_file_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_state_dict(tmp_path / "none.pth")
    with pytest.raises(InputError, match=r"torch\.save"):
        read_state_dict(written(tmp_path, pickle.dumps(3)))


def test_equal_to_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = collections.OrderedDict(
        a=torch.arange(6.0).reshape(2, 3).T, b=torch.ones(4, dtype=torch.float64)
    )
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pth"
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        read = read_state_dict(path)
        for name, expected in state.items():
            assert np.array_equal(read[name], expected.numpy())
