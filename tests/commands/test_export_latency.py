"""``weaknas export`` and ``weaknas latency``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import weaknas
from weaknas.cli import main
from weaknas.errors import InputError
from weaknas.spaces.mobilenetv3 import LatencyTable, MobileNetV3
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.training.latency import measure_networks, measure_table

torch = pytest.importorskip("torch")

TEXT = "k33-33-33-33-33_e33-33-33-33-33_r16"
OPTIONS = ["classes=10", "channels=1"]


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


def images(count: int, size: int):
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def supernet(tmp_path_factory) -> Path:
    from weaknas.supernets.files import save_supernet

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("supernet") / "supernet.pt"
    net = MobileNetV3(0.1, 16, classes=10, channels=1).supernet()
    save_supernet(path, net, {"dataset": "digits", "skeleton": {}})
    return path


@pytest.mark.slow
def test_an_architecture_of_a_supernet_is_exported(capsys, tmp_path: Path, supernet: Path) -> None:
    from safetensors.torch import load_file

    space = ":".join(["mobilenetv3", "width=0.1", "resolution=16", *OPTIONS])
    output = ["--output", str(tmp_path), "--json"]
    code, out, err = run(capsys, "export", space, TEXT, "--supernet", str(supernet), *output)
    assert code == 0, err
    files = json.loads(out.splitlines()[-1])["files"]
    assert {"weights", "program"} <= set(files)
    built = MobileNetV3(0.1, 16, classes=10, channels=1)
    net = built.network(TEXT, classes=10, shape=(1, 16, 16)).eval()
    net.load_state_dict(load_file(tmp_path / files["weights"]))
    program = torch.export.load(tmp_path / files["program"]).module()
    with torch.no_grad():
        expected = net(images(3, 16))
        torch.testing.assert_close(program(images(3, 16)), expected)
    # Its batch norms have the statistics of digits of that size.
    means = net.state_dict()["first_conv.bn.running_mean"]
    assert means.abs().max() > 0
    again = tmp_path / "again"
    weights = ["--weights", str(tmp_path / files["weights"])]
    code, _, err = run(capsys, "export", space, TEXT, *weights, "--output", str(again))
    assert code == 0, err
    assert (again / "weights.safetensors").exists()


def test_the_definition_of_timm_needs_no_weights(capsys, tmp_path: Path) -> None:
    text = TEXT.replace("r16", "r224")
    code, out, err = run(capsys, "export", "mobilenetv3", text, "--output", str(tmp_path), "--json")
    assert code == 0, err
    assert json.loads(out)["files"] == {"timm": "timm.json"}
    assert len(json.loads((tmp_path / "timm.json").read_text())["arch_def"]) == 7


@pytest.mark.slow
def test_a_network_that_timm_does_not_have_is_a_program(capsys, tmp_path: Path) -> None:
    space = "mobilenetv3:width=0.1:resolution=16"
    code, out, err = run(capsys, "export", space, TEXT, "--output", str(tmp_path), "--json")
    assert code == 0, err
    files = json.loads(out)["files"]
    assert files["program"] == "program.pt2"
    assert not {"weights", "timm"} & set(files)
    assert "no definition of timm" in err
    program = torch.export.load(tmp_path / "program.pt2").module()
    assert program(torch.zeros(5, 3, 16, 16)).shape == (5, 1000)
    assert not (tmp_path / "card.json").exists()  # there are no weights to load


@pytest.mark.slow
def test_weights_are_exported_by_the_card_beside_them(capsys, tmp_path: Path) -> None:
    from weaknas.training.export import load_network

    cell = "|none~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|none~1|none~2|"
    protocol = ["--protocol", "small:epochs=1:channels=2", "--device", "cpu"]
    trained, first, second = (tmp_path / name for name in ("trained", "first", "second"))
    code, _, err = run(capsys, "train", "nasbench201", cell, *protocol, "--output", str(trained))
    assert code == 0, err
    for given, made in ((trained, first), (first, second)):
        weights = ["--weights", str(given / "weights.safetensors"), "--output", str(made)]
        code, _, err = run(capsys, "export", "nasbench201", cell, *weights)
        assert code == 0, err
        torch.testing.assert_close(
            load_network(made)(images(2, 8)), load_network(trained)(images(2, 8))
        )
    other = cell.replace("1x1", "3x3")
    code, _, err = run(capsys, "export", "nasbench201", other, *weights)
    assert (code, "holds another architecture" in err) == (2, True)
    weights[-1] = str(tmp_path / "third")
    code, _, err = run(capsys, "export", "nasbench201", other, *weights)
    assert (code, f"has weights of {cell}, not of {other}" in err) == (2, True)
    code, _, err = run(capsys, "export", "nasbench101", "[[0, 1], [0, 0]], []", *weights)
    assert code == 2


@pytest.mark.slow
def test_a_card_knows_the_options_of_its_space(capsys, tmp_path: Path) -> None:
    from weaknas.training.export import load_network

    space = ":".join(["mobilenetv3", "width=0.1", "resolution=16", *OPTIONS])
    protocol = ["--protocol", "small:epochs=1:channels=None:cells=None", "--device", "cpu"]
    code, _, err = run(capsys, "train", space, TEXT, *protocol, "--output", str(tmp_path))
    assert code == 0, err
    assert load_network(tmp_path)(images(2, 8)).shape == (2, 10)
    code, _, err = run(
        capsys, "train", space.replace("0.1", "0.2"), TEXT, *protocol, "--output", str(tmp_path)
    )
    assert (code, "whose settings differs" in err) == (2, True)


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"architecture": 1, "classes": "x"}'])
def test_damaged_cards(capsys, tmp_path: Path, damage: str) -> None:
    (tmp_path / "card.json").write_text(damage)
    space = ["mobilenetv3:resolution=16", TEXT]
    weights = ["--weights", str(tmp_path / "w.pt"), "--output", str(tmp_path / "made")]
    code, _, err = run(capsys, "export", *space, *weights)
    assert (code, f"{tmp_path / 'card.json'}" in err) == (2, True), err


def test_weights_without_their_card(capsys, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    space = NASBench201()
    cell = "|none~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|none~1|none~2|"
    network = space.network(cell, classes=10, shape=(1, 8, 8), channels=2, cells=1)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    weights = ["--weights", str(tmp_path / "weights.safetensors")]
    code, _, err = run(
        capsys, "export", "nasbench201", cell, *weights, "--output", str(tmp_path / "made")
    )
    missing = f"({tmp_path / 'card.json'}, which says how it was built, is missing)"
    assert (code, missing in err, len(err.splitlines())) == (2, True, 1), err
    assert "has the shape (2, 1, 3, 3), not (16, 3, 3, 3)" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mobilenetv3", "k3"], "malformed architecture"),
        (["mobilenetv3:resolution=16", TEXT, "--weights", "/no.pt"], "no such file"),
        (["mobilenetv3:resolution=16", TEXT, "--weights", "/no.safetensors"], "no such file"),
        (["mobilenetv3:resolution=16", TEXT, "--supernet", "/no", "--weights", "/no"], "not both"),
        (["mobilenetv3:resolution=16", TEXT, "--supernet", "/no"], "no such file"),
    ],
)
def test_bad_exports(capsys, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, err = run(capsys, "export", *arguments, "--output", str(tmp_path))
    assert code == 2, err
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "."], "cannot write .: it is a folder"),
        pytest.param(
            ["--output", f"{__file__}/table.json"], f"cannot write to {__file__}", id="below a file"
        ),
        (["--output", "table.json", "--threads", "0"], "--threads: it must be at least 1, not 0"),
        (["--output", "table.json", "--seed", "-1"], "--seed: it must be at least 0, not -1"),
    ],
)
def test_bad_measurements_begin_not(
    capsys, tmp_path: Path, monkeypatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "latency", "mobilenetv3:width=0.25:resolution=8", *arguments)
    assert code == 2, err
    assert err.splitlines()[0].startswith("error: ")
    assert message in err


def test_an_export_needs_a_folder(capsys) -> None:
    code, _, err = run(capsys, "export", "mobilenetv3", TEXT, "--output", __file__)
    assert code == 2, err
    assert f"cannot write to {__file__}" in err


def test_batch_norms_need_images(capsys, tmp_path: Path, supernet: Path) -> None:
    given = ["--supernet", str(supernet), "--calibration", "0", "--output", str(tmp_path)]
    space = ":".join(["mobilenetv3", "width=0.1", "resolution=16", *OPTIONS])
    code, _, err = run(capsys, "export", space, TEXT, *given)
    assert code == 2, err
    assert "--calibration: it must be at least 1, not 0" in err


# -- latency --------------------------------------------------------------------------------


@pytest.mark.slow
def test_blocks_are_measured_as_they_are_in_networks(monkeypatch) -> None:
    """With multiply-adds for time, the sum of the blocks is that of the network."""
    from weaknas.training import measure

    def counted(network, shape, device, *, batch_size, repeats):
        return measure.count_macs(network, shape) * batch_size / 1000

    monkeypatch.setattr(measure, "latency", counted)
    space = MobileNetV3(0.35, resolutions=(32, 48))
    table = measure_table(space, batch_size=2, rounds=1)
    priced = MobileNetV3(0.35, resolutions=(32, 48), latency=table)
    rows = space.sample(5, np.random.default_rng(0))
    np.testing.assert_allclose(priced.latency(rows), 2 * space.macs(rows))


def test_a_measured_table_predicts(capsys, tmp_path: Path) -> None:
    space, output = "mobilenetv3:width=0.25:resolution=32", tmp_path / "table.json.gz"
    options = ["--rounds", "2", "--repeats", "3", "--threads", "1", "--check", "2", "--json"]
    code, out, err = run(capsys, "latency", space, "--output", str(output), *options)
    assert code == 0, err
    facts = json.loads(out.splitlines()[-1])
    assert facts["blocks"] == len(LatencyTable.read(output).blocks[32]) > 90
    assert facts["check"]["ratio"] > 0  # how near 1 depends on what else the machine does
    priced = MobileNetV3(0.25, 32, latency=output)
    extremes = np.stack([priced.cardinalities * 0, priced.cardinalities - 1])
    small, large = priced.latency(extremes)
    assert 0 < small < large
    assert (measure_networks(priced, extremes, repeats=3, rounds=1, device="cpu").medians > 0).all()


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (NASBench201(), {}, "no table of blocks to measure"),
        (MobileNetV3(), {"repeats": 0}, "repeats must be at least 1"),
        (MobileNetV3(), {"device": "cuda:9"}, "no device cuda:9"),
    ],
)
def test_what_cannot_be_measured(space, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure_table(space, **options)


def test_a_network_that_reads_text_is_exported(tmp_path, capsys):
    space = weaknas.get_space("recurrent")
    text = space.architectures(space.sample(1, np.random.default_rng(0)))[0].text
    with pytest.raises(SystemExit) as caught:
        main(["export", "recurrent", text, "--output", str(tmp_path / "out"), "--json"])
    assert caught.value.code == 0, capsys.readouterr().err
    assert (tmp_path / "out" / "program.pt2").is_file()
