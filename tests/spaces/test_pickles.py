import bz2
import contextlib
import io
import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.spaces.files.opcodes import CheckedPickles
from weaknas.spaces.files.pickles import (
    PLAIN_AND_NUMBERS,
    PLAIN_AND_TENSORS,
    Opaque,
    load_container,
    load_restricted,
)

# A tensor of four float32 as torch.save of 2019 wrote it, its storage outside.
TENSOR = (
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00K\x04\x85K\x01\x85\x89"
    b"ccollections\nOrderedDict\n)RtR."
)
TORCH_HEADER = (
    pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    + pickle.dumps(1001, 2)
    + pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
)
VALUE = {"a": [1, 2.5, None, True], (1, "x"): {"s": {1, 2}}, "o": OrderedDict(b=b"\xff")}

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("run-by-a-pickle",)


def load(content, **options):
    return load_restricted(CheckedPickles(io.BytesIO(content)), **options)


def contain(content):
    return load_container(io.BufferedReader(io.BytesIO(content)), "some.file")


def torch_zip(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


@given(plain, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_containers_are_read_in_every_protocol(value, protocol):
    assert load(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_malicious_pickle_is_refused_and_not_run(protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"results": [Malicious()]}, protocol)
    for allow in ({}, PLAIN_AND_TENSORS):
        with pytest.raises(InputError, match=r"here\.pkl: .*asks for (posix|nt)\.mkdir"):
            load(content, allow=allow, name="here.pkl")
    for wrapped in (content, bz2.compress(content), TORCH_HEADER + content, torch_zip(content)):
        with pytest.raises(InputError, match=r"some\.file: .*mkdir"):
            contain(wrapped)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__", "exec", "open", "object"])
def test_builtins_are_refused(name):
    with pytest.raises(InputError, match=name):
        load(b"c__builtin__\n" + name.encode() + b"\n.", allow=PLAIN_AND_TENSORS)


@given(st.binary(max_size=200))
def test_noise_is_an_input_error_or_plain(content):
    with contextlib.suppress(InputError):
        load(content, allow=PLAIN_AND_TENSORS)


def test_truncated_pickle_names_the_file(tmp_path):
    path = tmp_path / "short.pkl"
    content = pickle.dumps(VALUE)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"short\.pkl: damaged"):
            load_restricted(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"absent\.pkl: no such file"):
        load_restricted(tmp_path / "absent.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("number", [np.float64(1.5), np.float32(-2), np.int64(7), np.bool_(True)])
def test_numpy_numbers_become_numbers(number, protocol):
    read = load(pickle.dumps([number], protocol), allow=PLAIN_AND_NUMBERS)
    assert read == [number.item()]
    assert type(read[0]) is type(number.item())


@pytest.mark.parametrize("value", [np.array([1, 2]), np.datetime64("2020-01-01"), np.str_("x")])
def test_other_numpy_objects_are_refused(value):
    with pytest.raises(InputError):
        load(pickle.dumps(value), allow=PLAIN_AND_NUMBERS)


def test_numpy_numbers_must_be_allowed():
    with pytest.raises(InputError, match=r"multiarray\.scalar"):
        load(pickle.dumps(np.float64(1)))


def test_stream_is_left_behind_the_pickle():
    stream = CheckedPickles(io.BytesIO(pickle.dumps(1) + pickle.dumps([2]) + b"rest"))
    assert [load_restricted(stream), load_restricted(stream)] == [1, [2]]
    assert stream.take(4) == b"rest"


@pytest.mark.parametrize(
    "wrap", [bytes, bz2.compress, lambda content: TORCH_HEADER + content + b"weights", torch_zip]
)
def test_containers(wrap):
    assert contain(wrap(pickle.dumps(VALUE, 2))) == VALUE


def test_tensors_become_opaque():
    assert isinstance(contain(TORCH_HEADER + TENSOR), Opaque)
    assert isinstance(contain(torch_zip(TENSOR)), Opaque)


@pytest.mark.parametrize("cut", [3, 10, 30, -2])
@pytest.mark.parametrize("wrap", [bz2.compress, TORCH_HEADER.__add__, torch_zip])
def test_truncated_containers(wrap, cut):
    with pytest.raises(InputError, match=r"some\.file: .*damaged"):
        contain(wrap(pickle.dumps(VALUE, 2))[:cut])


def test_unknown_containers():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(InputError, match=r"no data\.pkl"):
        contain(buffer.getvalue())
    with pytest.raises(InputError, match="protocol 7"):
        contain(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(7, 2))


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_torch_itself(zipped, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "of-torch.pth"
    value = VALUE | {"weights": {"w": torch.ones(3)}, "p": torch.nn.Parameter(torch.ones(2))}
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    with path.open("rb") as stream:
        read = load_container(stream, str(path))
    assert isinstance(read.pop("weights")["w"], Opaque)
    assert isinstance(read.pop("p"), Opaque)
    assert read == VALUE
