"""Metrics and losses, those of yours too, and what is said of arrays that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

import weaknas
from weaknas.errors import FaultyEvaluator, InputError
from weaknas.evaluators.train import TrainEvaluator, curve_of
from weaknas.registry import METRICS
from weaknas.spaces import ChoiceSpace
from weaknas.training import Protocol
from weaknas.training.data import Samples, from_arrays
from weaknas.training.metrics import AUC, F1, MAE, MSE, Metric, get_metric

torch = pytest.importorskip("torch")

from weaknas.training.measure import Examination  # noqa: E402
from weaknas.training.trainer import Trainer  # noqa: E402

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(200, 4)) * [1, 10, 1, 1] + [0, 5, 0, 0]
VALUES = INPUTS @ RNG.normal(size=4) + RNG.normal(size=200)


def classes_data(classes: int = 3):
    labels = np.digitize(VALUES, np.quantile(VALUES, np.arange(1, classes) / classes))
    train, test = (Samples(INPUTS[part], labels[part]) for part in (slice(150), slice(150, None)))
    return from_arrays("c", train, test, [str(number) for number in range(classes)], 50)


def values_data(values=VALUES):
    train, test = (Samples(INPUTS[part], values[part]) for part in (slice(150), slice(150, None)))
    return from_arrays("v", train, test, ["value"], 50)


def outputs_of(network, data):
    inputs = (data.test.inputs - np.array(data.mean)) / np.array(data.std)
    with torch.no_grad():
        return network(torch.tensor(inputs, dtype=torch.float32))


@pytest.mark.parametrize("classes", [2, 3])
def test_metrics_of_classes_are_those_of_scikit_learn(classes: int) -> None:
    data = classes_data(classes)
    torch.manual_seed(0)
    network = torch.nn.Linear(4, classes)
    chances = outputs_of(network, data).softmax(1).double().numpy()
    labels, found = data.test.labels, chances.argmax(1)
    auc = (
        reference.roc_auc_score(labels, chances[:, 1])
        if classes == 2
        else reference.roc_auc_score(labels, chances, multi_class="ovr")
    )
    expected = {
        "accuracy": reference.accuracy_score(labels, found),
        "balanced-accuracy": reference.balanced_accuracy_score(labels, found),
        "f1": reference.f1_score(labels, found, average="macro"),
        "auc": auc,
    }
    for name, value in expected.items():
        measured = Examination(data.test, data, CPU, metric=name)
        assert measured.value(network) == pytest.approx(value, abs=1e-6), name
        assert measured.metric.score(0.25) == 0.25


def test_errors_of_values_are_small_when_good() -> None:
    data = values_data()
    network = torch.nn.Linear(4, 1)
    outputs = outputs_of(network, data).numpy()
    errors = outputs - data.test.labels
    assert Examination(data.test, data, CPU).value(network) == pytest.approx((errors**2).mean())
    measured = Examination(data.test, data, CPU, metric="mae")
    assert measured.value(network) == pytest.approx(abs(errors).mean())
    assert MSE.score(2.0) == MAE.score(2.0) == -2.0


def build(classes: int = 1, shape: tuple[int, ...] = (4,)):
    width = weaknas.choose("width", [2, 16])
    return torch.nn.Sequential(
        torch.nn.Linear(shape[0], width), torch.nn.ReLU(), torch.nn.Linear(width, classes)
    )


def test_search_of_a_regression_makes_the_error_small() -> None:
    evaluator = TrainEvaluator(weaknas.trace(build), dataset=values_data(), epochs=3, batch_size=25)
    result = evaluator.evaluate(evaluator.space.architecture("width=16"), seed=0)
    assert result.score == -result.metrics["mse"] == -curve_of(result)[-1] < 0
    assert "mse@3" in result.metrics
    assert evaluator.describe()["dataset"]["task"] == "regression"


def test_own_metric_and_loss() -> None:
    def worst(labels, outputs):
        return float(abs(labels - outputs).max())

    data = values_data()
    protocol = Protocol(
        epochs=2,
        batch_size=25,
        metric=Metric("worst", worst, maximize=False),
        loss=lambda outputs, labels: (outputs - labels).abs().mean(),
        learning_rate=0.01,
    )
    training = Trainer(lambda: torch.nn.Linear(4, 1), data, protocol, threads=1).run()
    assert training.metric == "worst"
    assert training.curve[1] > training.losses[1]
    assert protocol.describe()["metric"] == "worst"
    assert "metric" not in Protocol().describe()


def test_own_names() -> None:
    found = get_metric("sklearn.metrics:r2_score", "regression")
    assert found.value(np.array([[1.0], [2.0]]), np.array([[1.0], [2.0]])) == 1.0
    assert get_metric(Metric("f", found.measure), "regression").name == "f"
    assert set(METRICS.builtin) == set(METRICS.names())
    assert METRICS.summary("auc").startswith("Area under")


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'accuracy'"):
        get_metric("acuracy")
    with pytest.raises(InputError, match="'f1' is for classification, and the data set is for reg"):
        get_metric("f1", "regression")
    with pytest.raises(InputError, match="not a metric"):
        get_metric("math:pi")
    with pytest.raises(FaultyEvaluator, match=r"'auc', given labels of shape \(3,\).*class 1"):
        AUC.value(np.array([0, 0, 2]), np.full((3, 3), 1 / 3))
    with pytest.raises(FaultyEvaluator, match=r"'mine' failed.*ZeroDivisionError"):
        Metric("mine", lambda labels, outputs: 1 / 0).value(np.zeros(2), np.zeros((2, 2)))
    with pytest.raises(FaultyEvaluator, match="returned a str"):
        Metric("mine", lambda labels, outputs: "x").value(np.zeros(2), np.zeros((2, 2)))
    assert np.isnan(F1.value(np.array([0, 1]), np.full((2, 2), np.nan)))


def test_arrays_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match="200 inputs have 199 labels"):
        Samples(INPUTS, VALUES[:-1])
    wrong = INPUTS.copy()
    wrong[3, 1] = np.inf
    with pytest.raises(InputError, match="inputs are not all finite: row 3 holds inf"):
        Samples(wrong, VALUES)
    with pytest.raises(InputError, match=r"labels are values of the shape \(200, 1, 1\)"):
        Samples(INPUTS, VALUES[:, None, None])
    with pytest.raises(InputError, match=r"inputs have the shape \(200,\)"):
        Samples(VALUES, VALUES)
    with pytest.raises(InputError, match="1 value\\(s\\) a sample, where 2 are named"):
        from_arrays("v", Samples(INPUTS, VALUES), Samples(INPUTS, VALUES), ["a", "b"], 50)
    classes = Samples(INPUTS, np.zeros(200, int))
    with pytest.raises(InputError, match="asks for classification, where the data set is for reg"):
        from_arrays("v", Samples(INPUTS, VALUES), classes, ["a"], 50)


def test_losses_and_their_shapes() -> None:
    data = values_data()
    for loss, reason in {
        "mse": r"shape \(25, 2\) and labels of \(25, 1\)",
        "cross-entropy": "cross-entropy is for classes",
        "hubert": "did you mean 'huber'",
    }.items():
        protocol = Protocol(epochs=1, batch_size=25, loss=loss)
        with pytest.raises(InputError, match=reason):
            Trainer(lambda: torch.nn.Linear(4, 2), data, protocol, threads=1).run()
    protocol = Protocol(epochs=1, batch_size=25, loss=lambda outputs, labels: outputs - labels)
    with pytest.raises(FaultyEvaluator, match="where one number is expected"):
        Trainer(lambda: torch.nn.Linear(4, 1), data, protocol, threads=1).run()
    smoothed = Trainer(
        lambda: torch.nn.Linear(4, 1), data, Protocol(epochs=1, label_smoothing=0.1), threads=1
    )
    with pytest.raises(InputError, match="label_smoothing goes with cross-entropy"):
        smoothed.run()


def test_a_table_has_its_scores(capsys: pytest.CaptureFixture[str]) -> None:
    from weaknas.cli import main

    with pytest.raises(SystemExit):
        main(["search", "nasbench201", "--metric", "f1"])
    assert "a table has its scores" in capsys.readouterr().err
    assert ChoiceSpace({"a": [1, 2]}).reads == "anything"


def test_what_is_no_number_is_no_score():
    for name, task in (
        ("accuracy", "classification"),
        ("perplexity", "language"),
        ("mse", "regression"),
    ):
        assert np.isnan(get_metric(name, task).score(float("nan")))
    outputs, labels = torch.zeros(3, 2), torch.tensor([0, 0, 1])
    right, count = get_metric("accuracy").totals(labels, outputs).tolist()
    assert (right, count) == (2, 3)
    outputs[1] = torch.nan
    assert np.isnan(get_metric("accuracy").totals(labels, outputs)[0].item())


def test_a_network_that_was_destroyed_is_no_result():
    """In the only step of the only epoch, so that its loss was still a number."""
    data = classes_data()
    protocol = Protocol(
        epochs=1, batch_size=500, learning_rate=1e37, warmup=0.0, schedule="constant"
    )

    def build():
        layers = torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
        return torch.nn.Sequential(*layers)

    assert Trainer(build, data, protocol, threads=1).run().status == "diverged"
