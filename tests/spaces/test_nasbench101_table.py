"""The benchmark table of NAS-Bench-101; official files are made here, tiny."""

import base64
import itertools
import json
import struct
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.evaluators import benchmarks
from weaknas.evaluators.benchmarks import nasbench101
from weaknas.spaces import SubsetSpace
from weaknas.spaces.nasbench101 import NASBench101, cells, importing, tfrecord
from weaknas.spaces.nasbench101.official import read_metrics
from weaknas.spaces.nasbench101.table import (
    describe_table,
    import_table,
    load_table,
    locate_table,
)

SPACE = NASBench101()
BUDGETS = (4, 12, 36, 108)
TEXTS = (
    "output:0",
    "conv1x1:0+output:1",
    "maxpool3x3:0+conv3x3:0+conv1x1:1,2+output:0,3",
    "conv3x3:0+conv3x3:0+conv1x1:0+maxpool3x3:1+conv3x3:2+output:3,4,5",
)
CELLS = np.array([SPACE.parse(text) for text in TEXTS])

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*partial:RuntimeWarning", "ignore:.*nothing was trained:RuntimeWarning"
)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("WEAKNAS_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


# -- files as the official ones are, written bit by bit -------------------------------------


def crc32c(data):
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(data):
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def varint(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def field(number, value):
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def measured(cell, epochs, repeat):
    """Seconds and training, validation and test accuracy that tell where they come from."""
    place = cell / 10 + repeat / 100 + epochs / 1e5
    return (1000.0 * place, 0.1 + place / 2, 0.2 + place / 2, 0.3 + place / 2)


def record(cell, epochs, repeat, *, row=None, parameters=None, digest=None):
    row = CELLS[cell] if row is None else row
    parts = json.loads(SPACE.format_json(row))
    values = measured(cell, epochs, repeat)
    path = f"/models/{cell}/model.ckpt-{epochs}".encode()
    evaluations = [
        b"".join(field(k, v) for k, v in enumerate((share * epochs, *scaled), 1)) + field(6, path)
        for share, scaled in ((0.0, (0.0,) * 4), (0.5, (0.5,) * 4), (1.0, values))
    ]
    metrics = b"".join(field(1, evaluation) for evaluation in evaluations)
    metrics += field(2, parameters or int(SPACE.parameters(row[None])[0])) + field(3, 9.5)
    fields = [
        digest or SPACE.canonical_ids(row[None])[0],
        epochs,
        "".join(str(bit) for line in parts["matrix"] for bit in line),
        ",".join(parts["ops"]),
        base64.encodebytes(metrics).decode(),
    ]
    return frame(json.dumps(fields).encode())


def records(budgets=BUDGETS):
    """All trainings in an order that mixes cells, budgets and repeats."""
    order = [(c, e, r) for r in range(3) for e in budgets for c in range(len(CELLS))]
    return [record(*which) for which in order]


@pytest.fixture(scope="module")
def full():
    return records()


@pytest.fixture
def file(tmp_path, full):
    path = tmp_path / "nasbench_full.tfrecord"
    path.write_bytes(b"".join(full))
    return path


# -- framing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_checksums_of_the_standard(data, expected):
    assert crc32c(data) == expected
    content = np.frombuffer(b"ab" + data, dtype=np.uint8)
    found = tfrecord.masked_crc32c(content, np.array([2]), np.array([len(data)]))
    assert struct.pack("<I", found[0]) == masked(data)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8))
def test_checksums_of_many_at_once(stretches):
    content = np.frombuffer(b"".join(stretches) + b"-", dtype=np.uint8)
    lengths = np.array([len(data) for data in stretches])
    found = tfrecord.masked_crc32c(content, np.cumsum(lengths) - lengths, lengths)
    assert [struct.pack("<I", crc) for crc in found] == [masked(data) for data in stretches]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60), max_size=12), st.integers(1, 100))
def test_records_come_back_whatever_the_size_of_a_block(tmp_path, payloads, block):
    path = tmp_path / "any.tfrecord"
    path.write_bytes(b"".join(map(frame, payloads)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfrecord, "BLOCK", block)
        blocks = list(tfrecord.read_blocks(path))
        assert [data for found in blocks for data in found.records] == payloads
        for i, found in enumerate(blocks):
            rest = [after.records for after in tfrecord.read_blocks(path, found.end)]
            later = itertools.chain(*(after.records for after in blocks[i + 1 :]))
            assert list(itertools.chain(*rest)) == list(later)


# -- importing ------------------------------------------------------------------------------


def assert_is_the_full_table(columns):
    order = [int(np.flatnonzero((columns["genotype"] == c).all(axis=1))[0]) for c in CANONICAL]
    assert sorted(order) == list(range(len(CELLS)))
    hashes = ["".join(f"{half:016x}" for half in row.tolist()) for row in columns["hash"][order]]
    assert hashes == SPACE.canonical_ids(CELLS)
    np.testing.assert_array_equal(columns["parameters"][order], SPACE.parameters(CELLS))
    for epochs in BUDGETS:
        suffix = "" if epochs == 108 else f"@{epochs}"
        expected = np.array([[measured(c, epochs, r) for r in range(3)] for c in range(len(CELLS))])
        names = ("train_seconds", "train_accuracy", "valid_accuracy", "test_accuracy")
        for i, name in enumerate(names):
            scale = 1 if i == 0 else 100
            found = columns[name + suffix][order]
            np.testing.assert_allclose(found, scale * expected[:, :, i], rtol=1e-6)
    assert len(columns) == 3 + 4 * len(BUDGETS)


CANONICAL = SPACE.canonicalize(CELLS)


def test_the_full_file_comes_back(file, data):
    seen = []
    with pytest.warns(RuntimeWarning, match="partial, 4 of 423624"):
        written = import_table(file, progress=lambda done, total: seen.append((done, total)))
    assert written == [data / "nasbench101" / "cifar10.parquet"]
    assert list(written[0].parent.iterdir()) == written
    assert_is_the_full_table(load_table())
    size = file.stat().st_size
    assert seen == sorted(seen)
    assert seen[0] == (0, size)
    assert seen[-1] == (size, size)


def test_the_small_file_has_one_budget(tmp_path):
    path = tmp_path / "nasbench_only108.tfrecord"
    path.write_bytes(b"".join(records((108,))))
    import_table(path, tmp_path / "elsewhere")
    with pytest.raises(InputError, match="weaknas table import"):
        load_table()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEAKNAS_DATA", str(tmp_path / "elsewhere"))
        columns = load_table(source="official")
    assert not any("@" in name for name in columns)
    assert columns["valid_accuracy"].shape == (4, 3)


def test_other_budgets_than_108_epochs(tmp_path):
    """The longest schedule there is counts, and the table says so."""
    path = tmp_path / "short.tfrecord"
    path.write_bytes(b"".join(records((4,))) + record(0, 12, 0))
    with pytest.warns(RuntimeWarning, match="nothing was trained for 108 epochs; .* after 12"):
        import_table(path)
    path.write_bytes(b"".join(records((4,))))
    with pytest.warns(RuntimeWarning) as caught:
        import_table(path)
    assert [str(warning.message).partition(": ")[2] for warning in caught] == [
        "nothing was trained for 108 epochs; the scores are those after 4",
        "partial, 4 of 423624 cells",
    ]
    columns = load_table()
    assert not any("@" in name for name in columns)
    assert describe_table()["source"] == "official file short.tfrecord, after 4 epochs"
    expected = 100 * (0.2 + (3 / 10 + 0.01 + 4e-5) / 2)
    np.testing.assert_allclose(np.nanmean(columns["valid_accuracy"], axis=1).max(), expected)
    benchmark = nasbench101()
    assert benchmark.fidelities == []
    assert benchmark.optimum().architecture.text == SPACE.format(CANONICAL[3])


def test_cells_that_were_not_trained_in_full_are_left_out(tmp_path):
    path = tmp_path / "mixed.tfrecord"
    path.write_bytes(record(0, 4, 0) + record(1, 36, 0) + record(1, 4, 0) + record(2, 36, 0))
    with pytest.warns(RuntimeWarning, match="partial, 2 of 423624 cells; 1 more were not trained"):
        import_table(path)
    columns = load_table()
    assert columns["valid_accuracy"].shape == (2, 1)
    assert np.isnan(columns["valid_accuracy@4"]).sum() == 1


def test_cells_are_known_in_any_order_of_their_vertices(tmp_path):
    row = cells.shuffle(CELLS[3:], np.random.default_rng(1))[0]
    assert (row != CANONICAL[3]).any()
    path = tmp_path / "shuffled.tfrecord"
    path.write_bytes(record(3, 108, 0, row=row) + record(3, 108, 1))
    import_table(path)
    columns = load_table()
    np.testing.assert_array_equal(columns["genotype"], CANONICAL[3:])
    assert np.isfinite(columns["valid_accuracy"]).all()


def test_a_missing_training_is_nan(tmp_path):
    path = tmp_path / "gaps.tfrecord"
    path.write_bytes(record(0, 108, 0) + record(1, 108, 0) + record(1, 108, 1) + record(1, 4, 0))
    import_table(path)
    columns = load_table()
    assert np.isnan(columns["valid_accuracy"]).sum() == 1
    assert np.isnan(columns["valid_accuracy@4"]).sum() == 1


# -- damage ---------------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_one_wrong_bit_anywhere_is_found(tmp_path, full, data):
    whole = b"".join(full[:6])
    ends = np.cumsum([len(part) for part in full[:6]])
    place = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    path = tmp_path / "damaged.tfrecord"
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
    begin = int(np.concatenate([[0], ends])[np.searchsorted(ends, place, side="right")])
    with pytest.raises(InputError, match=f"byte {begin} (does not match|is cut short)"):
        list(tfrecord.read_blocks(path))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_that_ends_early_is_refused(tmp_path, full, data):
    whole = b"".join(full[:3])
    ends = [0, *np.cumsum([len(part) for part in full[:3]]).tolist()]
    length = data.draw(st.integers(1, len(whole) - 1).filter(lambda n: n not in ends))
    path = tmp_path / "torn.tfrecord"
    path.write_bytes(whole[:length])
    begin = max(end for end in ends if end < length)
    with pytest.raises(InputError, match=f"byte {begin} is cut short"):
        list(tfrecord.read_blocks(path))


def test_nothing_is_kept_of_a_damaged_file(tmp_path, data, full, monkeypatch):
    monkeypatch.setattr(tfrecord, "BLOCK", 3000)
    monkeypatch.setattr(importing, "_PART_RECORDS", 5)
    path = tmp_path / "torn.tfrecord"
    path.write_bytes(b"".join(full)[:-1])
    with pytest.raises(InputError, match="cut short"):
        import_table(path)
    assert not data.exists()


ODD = b'["%s", %%s, "0110", "input,output", ""]' % (b"0" * 32)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 certainly no records " * 9, "not a TFRecord file"),
        (b"", "no record"),
        (frame(b"no json"), "byte 0 is not one of NAS-Bench-101"),
        (frame(b'["a hash", 108]'), "byte 0 is not one of"),
        (frame(b'{"a": 1}'), "byte 0 is not one of"),
        (record(1, 108, 0, digest="0" * 32), "has the hash 0000"),
        (record(0, 108, 0).replace(b"108", b"0.5"), "checksum"),
        (frame(ODD % b"10.5"), "byte 0 is not one of"),
        (frame(ODD % b"-4"), "byte 0 is not one of"),
        (frame(ODD % (b"9" * 5000)), "byte 0 is not one of"),
        (record(0, 108, 0).replace(b"input", b"inner"), "checksum"),
    ],
)
def test_what_is_no_official_file_is_refused(tmp_path, data, content, message):
    path = tmp_path / "other.tfrecord"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        import_table(path)
    assert not data.exists()
    with pytest.raises(InputError):
        load_table()


@pytest.mark.parametrize(
    ("adjacency", "operations"),
    [
        ("0100", "input,conv5x5,output"),
        ("0110", "input,output"),
        ("0200", "input,output"),
        ("010", "input,output"),
        ("01" + "0" * 62, "input,conv3x3-bn-relu,output"),
        ("0100", "output,input"),
        ("", ""),
    ],
)
def test_cells_of_another_layout_are_refused(tmp_path, adjacency, operations):
    good = json.loads(record(0, 108, 0)[12:-4])
    fields = [good[0], 108, adjacency, operations, good[4]]
    path = tmp_path / "other.tfrecord"
    path.write_bytes(frame(json.dumps(fields).encode()))
    with pytest.raises(InputError, match="cells of another layout"):
        import_table(path)


def test_metrics_are_refused_when_cut_short():
    message = field(1, b"".join(field(k, 0.5) for k in range(1, 6))) + field(2, 300_000)
    assert read_metrics(message) == (300_000, (0.5, 50.0, 50.0, 50.0))
    for length in range(len(message)):
        with pytest.raises((LookupError, ValueError, struct.error)):
            read_metrics(message[:length])


def test_a_missing_file_and_a_folder_that_cannot_be_written(tmp_path, file):
    with pytest.raises(InputError, match=r"no such file; download nasbench_only108\.tfrecord"):
        import_table(tmp_path / "absent.tfrecord")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot write to"):
        import_table(file, tmp_path / "taken")


# -- interruption ---------------------------------------------------------------------------


class Interrupted(Exception):
    pass


def interrupt_at(share):
    def progress(done, total):
        if done >= share * total:
            raise Interrupted

    return progress


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(tfrecord, "BLOCK", 3000)
    monkeypatch.setattr(importing, "_PART_RECORDS", 10)


@pytest.mark.usefixtures("small_parts")
def test_an_interrupted_import_goes_on_where_it_was(file, data):
    for share in (0.3, 0.3, 0.6, 0.9):
        with pytest.raises(Interrupted):
            import_table(file, progress=interrupt_at(share))
        with pytest.raises(InputError):
            load_table()
    seen = []
    import_table(file, progress=lambda done, _total: seen.append(done))
    assert seen[0] >= 0.85 * file.stat().st_size
    assert_is_the_full_table(load_table())
    assert [path.name for path in (data / "nasbench101").iterdir()] == ["cifar10.parquet"]


@pytest.mark.usefixtures("small_parts")
def test_a_damaged_part_is_read_again(file, data):
    with pytest.raises(Interrupted):
        import_table(file, progress=interrupt_at(0.9))
    parts = sorted(
        (data / "nasbench101").glob(".import-*/*.parquet"),
        key=lambda part: int(part.name.split("-")[0]),
    )
    assert len(parts) >= 4
    parts[1].write_bytes(parts[1].read_bytes()[:-50])
    seen = []
    import_table(file, progress=lambda done, _total: seen.append(done))
    assert seen[0] == int(parts[1].name.split("-")[0])
    assert_is_the_full_table(load_table())


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_vanishes_is_noticed(file, data):
    def progress(done, total):
        if done == total:
            next((data / "nasbench101").glob(".import-*/0-*.parquet")).unlink()

    with pytest.raises(InputError, match="import it again"):
        import_table(file, progress=progress)
    with pytest.raises(InputError):
        load_table()
    import_table(file)
    assert_is_the_full_table(load_table())


@pytest.mark.usefixtures("small_parts")
def test_parts_of_another_file_are_not_taken(tmp_path, file):
    with pytest.raises(Interrupted):
        import_table(file, progress=interrupt_at(0.5))
    other = tmp_path / "other.tfrecord"
    other.write_bytes(b"".join(records((108,))))
    seen = []
    import_table(other, progress=lambda done, _total: seen.append(done))
    assert seen[0] == 0
    assert "valid_accuracy@4" not in load_table()


# -- reading --------------------------------------------------------------------------------


def test_unknown_names_and_no_table(data):
    for wrong in ({"dataset": "cifar100"}, {"source": "pip"}):
        with pytest.raises(InputError, match="unknown"):
            locate_table(**wrong)
        with pytest.raises(InputError, match="unknown"):
            nasbench101(**wrong)
    with pytest.raises(InputError, match="unknown labels"):
        nasbench101(labels="best")
    with pytest.raises(InputError) as error:
        nasbench101()
    for part in (str(data), "storage.googleapis.com/nasbench", "weaknas table import nasbench101"):
        assert part in str(error.value)
    with pytest.raises(InputError, match="no sample table"):
        load_table(source="sample")


def test_description(file):
    import_table(file)
    about = describe_table()
    assert json.loads(json.dumps(about)) == about
    assert about["rows"] == 4
    assert about["source"] == "official file nasbench_full.tfrecord"
    assert about["columns"]["test_accuracy@36"] == [4, 3]
    assert about["best"] == {
        "architecture": SPACE.format(CANONICAL[3]),
        "valid_accuracy": pytest.approx(20 + 50 * (0.3 + 0.01 + 108e-5), abs=1e-3),
    }


def test_benchmark_of_an_imported_file(file):
    import_table(file)
    with pytest.warns(RuntimeWarning, match="partial, 4 of 423624"):
        benchmark = nasbench101()
    assert nasbench101() is benchmark
    assert benchmark.name == "nasbench101/cifar10"
    assert benchmark.fidelities == [4, 12, 36]
    assert isinstance(benchmark.space, SubsetSpace)
    architecture = SPACE.architecture(TEXTS[2])
    expected = [measured(2, 12, repeat) for repeat in range(3)]
    shown = [benchmark.evaluate(architecture, seed=seed, fidelity=12) for seed in range(3)]
    np.testing.assert_allclose([e.score for e in shown], [100 * m[2] for m in expected], rtol=1e-6)
    np.testing.assert_allclose([e.cost for e in shown], [m[0] for m in expected], rtol=1e-6)
    mean = nasbench101(labels="mean").evaluate(architecture, seed=0)
    assert mean.score == pytest.approx(100 * measured(2, 108, 1)[2], rel=1e-6)
    assert benchmark.optimum("test_accuracy").architecture.id == SPACE.canonical_ids(CELLS)[3]


def test_real_sample(shared_data, monkeypatch):
    path = shared_data("nasbench101/sample_30001.npz")
    monkeypatch.setenv("WEAKNAS_DATA", str(path.parent.parent))
    benchmarks._build_nasbench101.cache_clear()  # it warns when it is built
    with pytest.warns(RuntimeWarning, match="partial, 30001 of 423624"):
        benchmark = nasbench101(source="sample")
    assert benchmark.space.size == 30_001
    assert benchmark.fidelities == [4, 12, 36]
    assert benchmark.optimum().score == pytest.approx(94.912, abs=1e-3)
    optimum = benchmark.optimum().architecture
    best = benchmark.evaluate(optimum, seed=5)
    short = benchmark.evaluate(optimum, seed=5, fidelity=12)
    assert best.metrics["parameters"] == SPACE.parameters([optimum.genotype])
    assert short.cost == pytest.approx(best.cost / 9)
    columns = load_table(source="sample")
    with np.load(path, allow_pickle=False) as source:
        hashes = ["".join(f"{half:016x}" for half in row) for row in columns["hash"].tolist()]
        assert hashes == source["hash"].astype(str).tolist()
    assert SPACE.canonical_ids(columns["genotype"][:50]) == hashes[:50]
    assert describe_table(source="sample")["rows"] == 30_001


def test_a_damaged_sample_is_refused(data):
    (data / "nasbench101").mkdir(parents=True)
    path = data / "nasbench101" / "sample_30001.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="not of a known format"):
        load_table()
    np.savez(path, hash=np.array([b"00"]))
    with pytest.raises(InputError, match="not the expected sample"):
        load_table()


def test_an_imported_table_goes_before_the_sample(file, data, shared_data):
    sample = shared_data("nasbench101/sample_30001.npz")
    import_table(file)
    (data / "nasbench101" / "sample_30001.npz").symlink_to(sample)
    with warnings.catch_warnings():
        assert locate_table().kind == "official"
    assert locate_table(source="sample").kind == "sample"
