"""``weaknas train``, and the winner of ``weaknas search``: numbers, files, model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

import weaknas  # noqa: E402
from weaknas.cli import main  # noqa: E402
from weaknas.errors import InputError  # noqa: E402
from weaknas.evaluators.train import TrainEvaluator  # noqa: E402
from weaknas.files import lock  # noqa: E402
from weaknas.spaces import ChoiceSpace  # noqa: E402
from weaknas.training import load_dataset  # noqa: E402
from weaknas.training.export import load_network  # noqa: E402
from weaknas.training.measure import Examination  # noqa: E402

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
TINY = "small:epochs=1:channels=2"


def call(*arguments: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == code


def train(*arguments: str, code: int = 0) -> None:
    fixed = ("--device", "cpu", "--threads", "1")
    call("train", "nasbench201", CELL, "--protocol", TINY, *fixed, *arguments, code=code)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("train") / "cell"
    made.mkdir()
    for name in ("checkpoint.pt", "program.pt2"):  # as killed processes leave them
        (made / f".{name}.0123456789ab").write_bytes(b"half")
    train("--epochs", "2", "--output", str(made), "--seed", "3")
    return made


@pytest.fixture
def card(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return content


def test_the_card_tells_what_was_done(folder: Path, card: dict[str, Any]) -> None:
    assert (card["space"], card["architecture"], card["dataset"]) == ("nasbench201", CELL, "digits")
    assert (card["epochs"], card["seed"], card["protocol"]["channels"]) == (2, 3, 2)
    assert card["validation_accuracy"] == card["curve"][-1]
    assert card["versions"]["torch"] == torch.__version__
    text = (folder / "README.md").read_text()
    assert f"| accuracy on 449 test images | {card['test_accuracy']:.4f} |" in text
    assert f"| accuracy on 449 validation images | {card['validation_accuracy']:.4f} |" in text
    assert f"`{CELL}`" in text
    assert "| channels | 2 |" in text
    assert "| cutout |" not in text  # off, as always
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["README.md", "card.json", *card["files"].values()]
    )


def test_exported_networks_compute_the_same(folder: Path, card: dict[str, Any]) -> None:
    network = load_network(folder)
    data = load_dataset("digits")
    accuracy = Examination(data.test, data, torch.device("cpu")).accuracy(network)
    assert accuracy == pytest.approx(card["test_accuracy"])
    images = torch.randn(5, 1, 8, 8)
    expected = network(images).detach()
    program = torch.export.load(str(folder / card["files"]["program"])).module()
    for count in (1, 5):  # batches of any size
        torch.testing.assert_close(program(images[:count]), expected[:count], rtol=1e-4, atol=1e-5)


def test_exported_onnx_computes_the_same(folder: Path, card: dict[str, Any]) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(folder / card["files"]["onnx"]))
    images = np.random.default_rng(0).standard_normal((5, 1, 8, 8)).astype(np.float32)
    expected = load_network(folder)(torch.from_numpy(images)).detach().numpy()
    (name,) = (given.name for given in session.get_inputs())
    for count in (1, 5):
        (made,) = session.run(None, {name: images[:count]})
        np.testing.assert_allclose(made, expected[:count], rtol=1e-4, atol=1e-5)


def test_weights_name_what_they_are_of(folder: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(folder / "weights.safetensors", "pt") as file:
        assert file.metadata()["architecture"] == CELL


def test_a_finished_training_is_not_repeated(
    folder: Path, card: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train("--epochs", "2", "--output", str(folder), "--seed", "3", "--json")
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1]) == card | {"output": str(folder)}
    assert "epoch" not in captured.err
    train("--epochs", "2", "--output", str(folder), "--seed", "4", code=2)
    assert "holds another training, whose seed differs" in capsys.readouterr().err


def test_without_a_folder_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train("--include-validation", "--json")
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert facts["data"]["train"] == 899 + 449
    assert facts["validation_accuracy"] is None
    assert 0 <= facts["test_accuracy"] <= 1
    assert list(tmp_path.iterdir()) == []
    train()
    out = capsys.readouterr().out
    assert "test accuracy" in out
    assert "none (export with --output DIR)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "digit"], "did you mean 'digits'"),
        (["--device", "cuda:99"], "there is no device cuda:99"),
        (["--protocol", "small:cutot=2"], "did you mean 'cutout'"),
        (["--seed", "-1"], "--seed: it must be at least 0, not -1"),
        (["--threads", "0"], "--threads: it must be at least 1, not 0"),
        pytest.param(
            ["--output", __file__], f"cannot write to {__file__}: File exists", id="a file"
        ),
        (["--dataset", "cifar10", "--data", "/nowhere"], "'cifar10' is not at /nowhere"),
        (["--protocol", "small:learning_rate=1e30"], "the training diverged in epoch 1"),
        (["--protocol", "small:auxiliary=0.4"], "'auxiliary'"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call("train", "nasbench201", CELL, *arguments, code=2)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


class Layers(ChoiceSpace):
    """A space of somebody else, whose networks ask what was chosen."""

    def __init__(self) -> None:
        super().__init__({"width": [2, 4], "act": ["relu", "tanh"]}, name="layers")

    def network(self, architecture: Any, *, classes: int = 10, shape: Any = (3, 32, 32)) -> Any:
        chosen = self.decode(architecture)
        act = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[chosen["act"]]
        size = shape[0] * shape[1] * shape[2]
        layers = [torch.nn.Linear(size, chosen["width"]), act()]
        return torch.nn.Sequential(
            torch.nn.Flatten(), *layers, torch.nn.Linear(chosen["width"], classes)
        )


def test_spaces_of_others_are_trained_by_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weaknas.commands.train.get_space", lambda name: Layers())
    options = ["--protocol", "small:epochs=1:channels=None:cells=None", "--device", "cpu"]
    call("train", "layers", "width=4,act=tanh", *options, "--output", str(tmp_path))
    network = load_network(tmp_path, Layers())
    assert isinstance(network[2], torch.nn.Tanh)
    assert network(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_folders_without_a_network(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match=r"has no model card, card\.json"):
        load_network(tmp_path)
    (tmp_path / "card.json").write_bytes((folder / "card.json").read_bytes())
    with pytest.raises(InputError, match=r"weights\.safetensors: no such file"):
        load_network(tmp_path)


def test_the_card_of_a_winner_names_the_space_with_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(TrainEvaluator, "evaluate", lambda *_, **__: weaknas.Evaluation(1.0))
    monkeypatch.setattr("weaknas.training.final.train_final", lambda *_, **o: asked.update(o) or {})
    monkeypatch.setattr("weaknas.commands.search.print_facts", lambda *_: None)
    arguments = ["--dataset", "pydoc-characters", "--budget", "1", "--output", str(tmp_path)]
    call("search", "recurrent:nodes=3", "--evaluator", "train:device=cpu", *arguments)
    assert asked["label"] == "recurrent:nodes=3"


@pytest.mark.parametrize("winner", [True, False])
def test_a_search_ends_by_training_its_winner(
    winner: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluator = "train:epochs=1:channels=2:fraction=0.2:device=cpu"
    arguments = ["--evaluator", evaluator, "--dataset", "digits", "--budget", "2"]
    more = [] if winner else ["--no-train-winner"]
    call("search", "nasbench201", *arguments, "--output", str(tmp_path), "--json", *more)
    captured = capsys.readouterr()
    found = json.loads(captured.out.splitlines()[-1])
    assert found["queries"] == 2
    assert ("winner" in found) == winner == (tmp_path / "winner" / "card.json").exists()
    assert ("training the winner in full" in captured.err) == winner
    if winner:
        assert found["winner"]["architecture"] == found["best"]["architecture"]
        assert found["winner"]["data"]["train"] == 899  # all, not the fraction
    # The run is kept: called again, nothing is trained.
    call("search", "nasbench201", *arguments, "--output", str(tmp_path), "--json", *more)
    captured = capsys.readouterr()
    again = json.loads(captured.out.splitlines()[-1])
    assert again["best"] == found["best"]
    assert again.get("winner") == found.get("winner")
    assert "training the winner" not in captured.err


def test_a_folder_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with lock(tmp_path):
        train("--output", str(tmp_path), code=2)
        call("train-supernet", "nasbench201", "--output", str(tmp_path), code=2)
        assert list(tmp_path.iterdir()) == [tmp_path / ".weaknas.lock"]
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert errors == [f"error: {tmp_path} is in use by another process"] * 2
