import json
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from weaknas.errors import InputError
from weaknas.spaces.files.tables import (
    DamagedTableError,
    cached_columns,
    describe_columns,
    read_columns,
    write_columns,
)

DTYPES = st.sampled_from(["f8", "f4", "i8", "i4", "i2", "u1", "?"]).map(np.dtype)
COLUMNS = {
    "genotype": np.array([[1, 2], [3, 4], [0, 0]], dtype=np.int16),
    "accuracy": np.array([[90.5, 91.0], [88.0, np.nan], [10.0, 10.0]]),
    "curve": np.arange(24, dtype=np.float32).reshape(3, 2, 4),
    "parameters": np.array([5, 6, 7]),
}


def assert_equal(left, right):
    assert list(left) == list(right)
    for name, values in left.items():
        assert values.dtype == right[name].dtype
        np.testing.assert_array_equal(values, right[name])


@st.composite
def tables(draw):
    rows = draw(st.integers(1, 5))
    shapes = st.lists(st.integers(1, 4), max_size=2).map(lambda tail: (rows, *tail))
    column = st.tuples(DTYPES, shapes).flatmap(lambda spec: hnp.arrays(*spec))
    return draw(st.dictionaries(st.text("abc@/é", min_size=1), column, min_size=1, max_size=4))


@given(tables())
@settings(deadline=None, max_examples=50)
def test_round_trip(tmp_path_factory, columns):
    path = tmp_path_factory.mktemp("tables") / "t.parquet"
    write_columns(path, columns, "a source")
    assert_equal(read_columns(path), columns)


@pytest.fixture
def path(tmp_path):
    write_columns(tmp_path / "t.parquet", COLUMNS, "a source")
    return tmp_path / "t.parquet"


def test_arrays_are_writable_and_selected_by_name(path):
    columns = read_columns(path, lambda name: name != "curve")
    assert list(columns) == ["genotype", "accuracy", "parameters"]
    columns["accuracy"] += 1


def test_file_describes_itself(path):
    info = describe_columns(path)
    assert (info.source, info.rows) == ("a source", 3)
    assert info.shapes == {name: values.shape for name, values in COLUMNS.items()}
    header = json.loads(pq.read_schema(path).metadata[b"weaknas"])
    assert header.keys() == {"format", "source", "rows", "weaknas", "columns"}


def test_other_programs_see_lists(path):
    rows = pq.read_table(path).to_pylist()
    assert rows[0]["curve"] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert rows[2]["genotype"] == [0, 0]


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"a": np.zeros(0)},
        {"a": np.zeros(2), "b": np.zeros(3)},
        {"a": np.zeros((2, 0))},
        {"a": np.zeros((2, 2, 2, 2))},
        {"a": np.array(["x"])},
    ],
)
def test_what_is_no_table_is_refused(columns, tmp_path):
    with pytest.raises(InputError, match="column"):
        write_columns(tmp_path / "t.parquet", columns, "")
    assert not list(tmp_path.iterdir())


def test_every_damaged_byte_is_noticed(path):
    content = path.read_bytes()
    noticed = []
    for position in range(0, len(content), 7):
        changed = bytearray(content)
        changed[position] ^= 0x11
        path.write_bytes(changed)
        try:
            columns = read_columns(path)
        except DamagedTableError as error:
            noticed.append(str(error))
        else:
            assert_equal(columns, COLUMNS)
    assert len(noticed) > 100
    assert all(str(path) in message and "\n" not in message for message in noticed)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a table at all, however long it may be"])
def test_what_is_no_parquet_file_is_damaged(path, content):
    path.write_bytes(content)
    with pytest.raises(DamagedTableError, match=r"t\.parquet"):
        read_columns(path)


def test_foreign_and_future_files_are_damaged(path):
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(DamagedTableError, match="format version None"):
        read_columns(path)
    pq.write_table(table.replace_schema_metadata({b"weaknas": b'{"format": 99}'}), path)
    with pytest.raises(DamagedTableError, match="format version 99"):
        read_columns(path)


def test_shortened_table_is_damaged(path):
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 2), path)
    with pytest.raises(DamagedTableError, match="2 rows, where 3"):
        read_columns(path)
    pq.write_table(table.drop_columns(["curve"]), path)
    with pytest.raises(DamagedTableError):
        read_columns(path)


class Builder:
    calls = 0

    def __call__(self):
        self.calls += 1
        return COLUMNS


def test_cache_is_built_once_and_again_for_another_source(tmp_path):
    path, build = tmp_path / "new" / "t.parquet", Builder()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert_equal(cached_columns(path, "v1", build), COLUMNS)
        assert build.calls == 1
        cached_columns(path, "v2", build)
        assert build.calls == 2
    assert describe_columns(path).source == "v2"


def test_damaged_cache_is_rebuilt_with_a_warning(path):
    path.write_bytes(path.read_bytes()[:-20])
    build = Builder()
    with pytest.warns(RuntimeWarning, match=r"t\.parquet: .*built anew"):
        assert_equal(cached_columns(path, "a source", build), COLUMNS)
    assert_equal(cached_columns(path, "a source", build), COLUMNS)
    assert build.calls == 1


def test_unwritable_cache_costs_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    build = Builder()
    with pytest.warns(RuntimeWarning, match="not cached"):
        assert_equal(cached_columns(tmp_path / "file" / "t.parquet", "v1", build), COLUMNS)
    assert build.calls == 1
