"""What was measured before: read from where it lies, believed as far as it proves right."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import weaknas
from weaknas.cli import main
from weaknas.errors import InputError
from weaknas.evaluators import Evaluation
from weaknas.registry import get_source
from weaknas.runs.journal import Journal
from weaknas.runs.sources import find_runs, find_tables
from weaknas.search.sources import Source, SourcesEncoder
from weaknas.spaces import ChoiceSpace
from weaknas.spaces.limits.constrained import ConstrainedSpace

LAYERS = ChoiceSpace({f"layer{i}": list("abcde") for i in range(5)}, name="layers")
ROWS = LAYERS.enumerate()
SCORES = np.random.default_rng(0).normal(size=(5, 5))[np.arange(5), ROWS].sum(axis=1)
SCORES += np.random.default_rng(1).normal(0, 0.1, size=len(ROWS))
KNOWN = np.random.default_rng(2).permutation(len(ROWS))[:150]


LINES = [f'"{LAYERS.format(row)}",{score}' for row, score in zip(ROWS[:3], SCORES[:3], strict=True)]


def source(scores=SCORES, rows=KNOWN, **options):
    pairs = zip(LAYERS.architectures(ROWS[rows]), scores[rows], strict=True)
    return Source.of_pairs(LAYERS, pairs, **options)


def exit_code(arguments):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return exit_.value.code


def queries_to_best(sources, seed):
    search, best, told = weaknas.WeakNAS(LAYERS, seed=seed, sources=sources), SCORES.max(), 0
    while told < 120:
        asked = search.ask()
        scores = SCORES[LAYERS.genotypes(asked) @ 5 ** np.arange(5)[::-1]]
        if best in scores:
            return told + 1 + scores.tolist().index(best)
        told += len(asked)
        search.tell(asked, scores)
    return told


def test_a_source_that_is_right_saves_queries_and_a_wrong_one_costs_few():
    seeds = range(4)
    mean = {
        name: np.mean([queries_to_best(sources, seed) for seed in seeds])
        for name, sources in {
            "none": [],
            "right": [source()],
            "negated": [source(-SCORES)],
            "permuted": [source(np.random.default_rng(3).permutation(SCORES))],
        }.items()
    }
    assert mean["right"] < 0.5 * mean["none"]
    assert mean["negated"] < 1.3 * mean["none"]
    assert mean["permuted"] < 1.6 * mean["none"]


def test_the_first_are_what_sources_promise():
    search = weaknas.WeakNAS(LAYERS, seed=0, initial=6, sources=[source()])
    first = SCORES[LAYERS.genotypes(search.ask()) @ 5 ** np.arange(5)[::-1]]
    assert (first > np.quantile(SCORES, 0.98)).all()


def test_the_best_of_a_source_come_first_where_candidates_are_drawn():
    space = ChoiceSpace({f"layer{i}": list("abcde") for i in range(20)}, name="large")
    rows = space.sample(60, np.random.default_rng(0))
    rows[0] = 4
    known = list(zip(space.architectures(rows), rows.sum(axis=1), strict=True))
    search = weaknas.WeakNAS(space, seed=0, initial=3, sources=[known])
    first = space.genotypes(search.ask())
    assert first[0].tolist() == [4] * 20
    assert (first.sum(axis=1) > np.median(rows.sum(axis=1))).all()


def test_a_source_that_knows_nothing_predicts_small_differences():
    noise = np.random.default_rng(3).normal(size=len(SCORES))
    encoder = SourcesEncoder(
        weaknas.get_encoder("one-hot", LAYERS), [source(), source(noise)], LAYERS
    )
    right, wrong = encoder.fit_transform(ROWS)[:, -2:].std(axis=0)
    assert wrong < 0.5 * right


def test_a_source_of_one_score_changes_nothing():
    same = source(np.zeros(len(SCORES)))
    searches = [weaknas.WeakNAS(LAYERS, seed=0, sources=given) for given in ([], [same])]
    first, other = (search.ask() for search in searches)
    assert first == other


def test_columns_of_sources_stand_beside_the_others():
    encoder = SourcesEncoder(
        weaknas.get_encoder("one-hot", LAYERS), [source(), source(-SCORES)], LAYERS
    )
    features = encoder.fit_transform(ROWS)
    assert features.shape == (len(ROWS), 27)
    assert encoder.source_columns == [25, 26]
    assert encoder.groups == [slice(None)]
    assert np.corrcoef(features[:, 25], SCORES)[0, 1] > 0.95
    np.testing.assert_allclose(features[:, 25], -features[:, 26], atol=1e-2)


def test_the_same_problem_is_told_and_may_be_returned(tmp_path):
    best = LAYERS.architectures(ROWS[[int(np.argmax(SCORES))]])[0]
    known = Source.of_pairs(LAYERS, [(best, float(SCORES.max()))], same_problem=True)

    def search():
        return weaknas.WeakNAS(LAYERS, seed=0, sources=[known])

    def score(architecture):
        return SCORES[LAYERS.genotypes([architecture])[0] @ 5 ** np.arange(5)[::-1]]

    result = weaknas.run(search(), score, 10, output=tmp_path / "run")
    assert result.best.architecture == best
    assert len(result.trials) == 10  # what was told was not paid
    assert best.id not in {trial.architecture.id for trial in result.trials}
    longer = weaknas.run(search(), score, 14, output=tmp_path / "run")
    fresh = weaknas.run(search(), score, 14)
    assert [t.architecture for t in longer.trials] == [t.architecture for t in fresh.trials]
    with pytest.raises(InputError, match="sources"):
        weaknas.run(weaknas.WeakNAS(LAYERS, seed=0), score, 14, output=tmp_path / "run")


def test_of_a_source_of_another_name_the_content_decides(tmp_path):
    def search(name, scores=SCORES):
        return weaknas.WeakNAS(LAYERS, seed=0, sources=[source(name=name), source(scores)])

    weaknas.run(search("first, it's"), lambda a: 1.0, 4, output=tmp_path / "run")
    longer = weaknas.run(search("/elsewhere/first"), lambda a: 1.0, 6, output=tmp_path / "run")
    assert len(longer.trials) == 6
    with pytest.raises(InputError, match=r"holds a run with strategy\.encoder\..*sources"):
        weaknas.run(search("first", -SCORES), lambda a: 1.0, 8, output=tmp_path / "run")


@pytest.mark.parametrize(
    ("genotypes", "scores", "message"),
    [
        (ROWS[:3].tolist(), SCORES[:3], "genotypes as an array of whole numbers.* not a list and"),
        (ROWS[:3].astype(float), SCORES[:3], r"not float64 of shape \(3, 5\)"),
        (ROWS[:3], SCORES[:3, None], r"and float64 of shape \(3, 1\)"),
        (ROWS[:3], SCORES[:2], "has 3 genotypes and 2 scores"),
        (ROWS[:3, :4], SCORES[:3], "genotypes of 4 numbers; those of the space 'layers' have 5"),
        (ROWS[:3].astype(int) + 3, SCORES[:3], r"\[3, 3, 3, 3, 5\], which is not in the space"),
        (ROWS[:3].astype(int) - 1, SCORES[:3], "-1, -1.*, which is not in the space 'layers'"),
    ],
)
def test_a_source_that_is_built_by_hand_is_checked(genotypes, scores, message):
    with pytest.raises(InputError, match=f"the source mine .*{message}"):
        weaknas.WeakNAS(LAYERS, sources=[Source("mine", genotypes, scores)])


def test_sources_are_read_from_where_they_lie(tmp_path):
    def score(architecture):
        return float(SCORES[LAYERS.genotypes([architecture])[0] @ 5 ** np.arange(5)[::-1]])

    weaknas.run(weaknas.get_strategy("random", LAYERS, seed=1), score, 20, output=tmp_path / "run")
    run = get_source(str(tmp_path / "run"), LAYERS)
    assert len(run.scores) == 20
    with pytest.raises(InputError, match="is a run, which has no options, not foo=1"):
        get_source(f"{tmp_path / 'run'}:foo=1", LAYERS)
    table = {"architecture": [LAYERS.format(row) for row in ROWS[:30]], "acc": SCORES[:30]}
    lines = [f'"{text}",{value}' for text, value in zip(*table.values(), strict=True)]
    path = tmp_path / "results.csv"
    path.write_text("\n".join(["architecture,acc", *lines]))
    read = get_source(f"{path}:objective=acc", LAYERS)
    np.testing.assert_allclose(np.sort(read.scores), np.sort(SCORES[:30]))
    lower = get_source(f"{path}:objective=acc:maximize=False", LAYERS)
    np.testing.assert_allclose(np.sort(lower.scores), np.sort(-SCORES[:30]))
    assert repr(read) == repr(get_source(f"{path}:objective=acc", LAYERS))
    assert repr(read) != repr(lower)
    mapping = {"architecture": table["architecture"], "score": SCORES[:30]}
    np.testing.assert_allclose(np.sort(get_source(mapping, LAYERS).scores), np.sort(SCORES[:30]))
    pairs = [(LAYERS.format(ROWS[0]), 1.0), (LAYERS.format(ROWS[1]), 2.0)]
    assert get_source(pairs, LAYERS, same_problem=True).same_problem
    cells = get_source("nasbench201:dataset=cifar10", weaknas.get_space("nasbench201"))
    assert len(cells.scores) == 8765


@pytest.mark.parametrize("given", ["maybe", "no", "0.5", "None"])
def test_whether_larger_is_better_is_true_or_false(tmp_path, given):
    path = tmp_path / "good.csv"
    path.write_text("\n".join(["architecture,score", *LINES]))
    with pytest.raises(InputError, match=r"good\.csv: 'maximize' is true or false, not "):
        get_source(f"{path}:maximize={given}", LAYERS)
    read = get_source(f"{path}:maximize=false", LAYERS)
    np.testing.assert_allclose(np.sort(read.scores), np.sort(-SCORES[:3]))


def test_the_only_column_of_numbers_is_the_scores(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("\n".join(["architecture,accuracy,by", *(f"{line},me" for line in LINES)]))
    np.testing.assert_allclose(np.sort(get_source(path, LAYERS).scores), np.sort(SCORES[:3]))
    path.write_text("\n".join(["architecture,accuracy,loss", *(f"{line},1" for line in LINES)]))
    with pytest.raises(InputError, match=r"say by objective= .* accuracy, loss"):
        get_source(path, LAYERS)
    assert len(get_source(f"{path}:objective=accuracy", LAYERS).scores) == 3
    path.write_text("\n".join(["architecture,accuracy,score", *(f"{line},1" for line in LINES)]))
    assert (get_source(path, LAYERS).scores == 1).all()


def test_what_is_wrong_in_a_table_names_its_file(tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text("architecture,score\nnothing,1.0\nnothing,2.0\n")
    with pytest.raises(InputError, match=r"the source .*wrong\.csv: .*nothing"):
        get_source(path, LAYERS)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nasbench21", "'nasbench21'; did you mean 'nasbench201'"),
        ("", "no such source: ''"),
        ("nowhere", "no such source: 'nowhere'"),
        ("nasbench201:dataset=cifar10", "'layers' and 'nasbench201' have nothing in common"),
        ([("layer0=a,layer1=a,layer2=a,layer3=a,layer4=a", 1.0)], "holds 1 architectures"),
        ([("layer0=a", 1.0), ("layer0=b", 2.0)], "no value for"),
        ([("layer0=a,layer1=a,layer2=a,layer3=a,layer4=a", "x")] * 2, "a score that is no number"),
        ([1.0, 2.0], "not of pairs"),
        ({"architecture": ["layer0=a,layer1=a,layer2=a,layer3=a,layer4=a"]}, "score"),
        (5.0, "5.0|float"),
    ],
)
def test_what_cannot_be_used_is_one_line(value, message):
    with pytest.raises(InputError, match=message) as error:
        get_source(value, LAYERS)
    assert "\n" not in str(error.value)


def test_a_space_that_is_named_like_a_benchmark_is_another_one():
    named = ChoiceSpace({"width": [16, 32, 64], "depth": [2, 4]}, name="nasbench201")
    for same_problem, message in ((True, "not the same problem"), (False, "nothing in common")):
        with pytest.raises(InputError, match=message) as error:
            get_source("nasbench201", named, same_problem=same_problem)
        assert "another space of the name 'nasbench201', with other decisions" in str(error.value)
    assert find_tables(named) == []


def test_a_run_of_an_unknown_space_or_without_trials_is_refused(tmp_path):
    other = ChoiceSpace({"a": [1, 2, 3]}, name="other")
    weaknas.run(weaknas.get_strategy("random", other), lambda a: 1.0, 3, output=tmp_path / "other")
    with pytest.raises(InputError, match="'layers' and 'other' have nothing in common"):
        get_source(tmp_path / "other", LAYERS)
    (tmp_path / "empty").mkdir()
    with Journal(
        tmp_path / "empty" / "journal.jsonl", {"space": {}, "strategy": {}, "evaluator": {}}
    ):
        pass
    with pytest.raises(InputError, match="no trial yet"):
        get_source(tmp_path / "empty", LAYERS)
    with pytest.raises(InputError, match="is no source"):
        get_source(tmp_path, LAYERS)


def test_command_line(tmp_path, capsys):
    command = ["search", "nasbench201", "--dataset", "cifar100", "--budget", "6", "--json"]
    given = ["--source", "nasbench201:dataset=cifar10", "--output", str(tmp_path / "run")]
    assert exit_code([*command, *given]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["best"]["score"] > 72  # the best of the first three of another data set
    again = ["--same-problem", str(tmp_path / "run")]
    assert exit_code([*command, *again]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["best"]["score"] >= result["best"]["score"] - 1
    assert exit_code([*command, "--source", "nowhere"]) == 2
    assert "no such source" in capsys.readouterr().err
    assert exit_code([*command, "--strategy", "random", "--source", "nasbench201"]) == 2
    assert "does not take --source (" in capsys.readouterr().err


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_of_a_space_that_is_known_already_the_best_is_told(tmp_path, capsys, form):
    (tmp_path / "tiny.toml").write_text('name = "tiny"\n[choices]\nop = ["conv", "pool"]\n')
    (tmp_path / "all.csv").write_text("op,score\nconv,1.5\npool,0.5\n")
    given = ["--evaluator", "math:sqrt", "--budget", "2", *form]
    given += ["--same-problem", str(tmp_path / "all.csv")]
    assert exit_code(["search", str(tmp_path / "tiny.toml"), *given]) == 0
    out, err = capsys.readouterr()
    assert "op=conv" in out
    assert err.splitlines()[-1:] == [
        "nothing is left to train: all architectures of 'tiny' are known already"
    ]


def test_a_search_that_ends_early_says_why(tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text('name = "tiny"\n[choices]\nop = ["conv", "pool", "skip"]\n')
    (tmp_path / "one.csv").write_text("op,score\nconv,1.5\n")
    given = ["--evaluator", "builtins:len", "--budget", "3"]
    given += ["--same-problem", str(tmp_path / "one.csv")]
    assert exit_code(["search", str(tmp_path / "tiny.toml"), *given]) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "over after 2 of 3 trainings: nothing is left to propose"


def test_sources_of_a_space_are_listed(tmp_path, capsys):
    weaknas.run(weaknas.get_strategy("random", LAYERS), lambda a: 1.0, 3, output=tmp_path / "other")
    command = ["search", "nasbench201", "--strategy", "random", "--budget", "5"]
    assert exit_code([*command, "--output", str(tmp_path / "ours")]) == 0
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "journal.jsonl").write_text("nothing")
    capsys.readouterr()
    assert exit_code(["sources", "nasbench201", str(tmp_path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])
    tables = [table["source"] for table in listed["benchmarks"]]
    assert tables[:3] == [
        f"nasbench201:dataset={name}" for name in ("cifar100", "cifar10", "imagenet16-120")
    ]
    assert "nasbench101:dataset=cifar10" in tables
    assert not any(name.startswith(("graph", "nats-size")) for name in tables)
    assert listed["proxies"] is True
    assert [run["source"] for run in listed["runs"]] == [str(tmp_path / "ours")]
    assert listed["runs"][0]["trials"] == 5
    assert exit_code(["sources", "nasbench201", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "5 trials" in out
    assert "broken" in out
    assert exit_code(["sources", "nasbench201", str(tmp_path / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_source_of_another_space_tells_by_what_both_have():
    wide = ChoiceSpace({f"layer{i}": list("abcdef") for i in range(4)}, name="wide")
    rows = wide.enumerate()[np.random.default_rng(0).permutation(6**4)[:100]]
    weights = np.random.default_rng(0).normal(size=(5, 5))  # those of SCORES
    scores = np.where(rows < 5, weights[np.arange(4), np.minimum(rows, 4)], 0.0).sum(axis=1)
    known = Source.of_pairs(wide, zip(wide.architectures(rows), scores, strict=True), "wide")
    encoder = SourcesEncoder(weaknas.get_encoder("one-hot", LAYERS), [known], LAYERS)
    column = encoder.fit_transform(ROWS)[:, -1]
    assert np.corrcoef(column, SCORES)[0, 1] > 0.7  # of five layers it knows four
    search = weaknas.WeakNAS(LAYERS, seed=0, initial=6, sources=[known])
    promise = column[LAYERS.genotypes(search.ask()) @ 5 ** np.arange(5)[::-1]]
    assert (promise[:3] > np.quantile(column, 0.98)).all()  # the others are random
    assert promise[3:].min() < np.quantile(column, 0.9)
    # So is every other one where workers ask for one at a time.
    search = weaknas.WeakNAS(LAYERS, seed=0, initial=6, sources=[known])
    rows = LAYERS.genotypes([search.ask(1)[0] for _ in range(6)])
    promise = column[rows @ 5 ** np.arange(5)[::-1]]
    assert (promise[1::2] > np.quantile(column, 0.98)).all()
    assert promise[::2].min() < np.quantile(column, 0.9)
    told = Source("told", known.genotypes, known.scores, True, wide)
    with pytest.raises(InputError, match="of the space 'wide', not 'layers': that is not the same"):
        get_source(told, LAYERS)


def test_of_many_architectures_the_best_and_some_others_are_fitted_to():
    big = Source("big", np.arange(5000)[:, None], np.arange(5000.0))
    rows, targets = big.telling()
    assert len(rows) == len(targets) == 2000
    assert np.isin(np.arange(4000, 5000), rows).all()
    assert np.corrcoef(rows[:, 0], targets)[0, 1] > 0.95


def test_a_run_with_other_values_of_a_choice_is_of_another_space(tmp_path):
    def space(*widths):
        return ChoiceSpace({"op": ["conv", "pool"], "width": list(widths)}, name="mine")

    older = space(8, 16, 32)
    weaknas.run(weaknas.get_strategy("random", older), lambda a: float(a.genotype[1]), 6,
                output=tmp_path / "run")  # fmt: skip
    wider = space(16, 32, 64)
    known = get_source(tmp_path / "run", wider)
    assert known.space.choices[1] == ("8", "16", "32")
    column = SourcesEncoder(weaknas.get_encoder("one-hot", wider), [known], wider)
    predicted = column.fit_transform(wider.enumerate())[:, -1]
    assert predicted[1] > predicted[0]  # of the same operation, width 32 and 16


def test_what_is_outside_the_limits_tells_of_what_is_inside():
    cells = weaknas.get_space("nasbench201")
    limited = ConstrainedSpace(cells, ["params<=0.3e6"])
    rows = cells.sample(40, np.random.default_rng(0))
    inside = limited.contains(rows)
    assert 0 < inside.sum() < 40
    pairs = list(zip(cells.architectures(rows), np.arange(40.0), strict=True))
    assert len(get_source(pairs, limited).scores) == 40
    told = get_source(pairs, limited, same_problem=True)
    np.testing.assert_array_equal(told.scores, np.flatnonzero(inside))
    first = weaknas.WeakNAS(limited, seed=0, initial=2, sources=[pairs]).ask()
    assert limited.contains(limited.genotypes(first)).all()


def test_another_content_has_another_text():
    whole = source()
    rough = dataclasses.replace(whole, trend=False)
    elsewhere = dataclasses.replace(whole, space=ChoiceSpace({"x": [1, 2]}, name="other"))
    texts = [repr(one) for one in (whole, rough, elsewhere, source(-SCORES))]
    assert len(set(texts)) == len(texts)
    assert repr(whole) == repr(source())


def test_of_a_run_at_several_fidelities_full_trainings_count(tmp_path):
    class Judge:
        fidelities = (1.0, 3.0)

        def evaluate(self, architecture, *, seed, fidelity=None):
            score = float(architecture.genotype[0])
            return Evaluation(score if fidelity is None else -score, cost=fidelity or 9.0)

        def describe(self):
            return {}

    search = weaknas.get_strategy("hyperband", LAYERS, resources="1+3+9")
    result = weaknas.run(search, Judge(), budget=40, output=tmp_path / "run")
    full = {trial.architecture.text for trial in result.trials if trial.evaluation.fidelity is None}
    short = {trial.architecture.text for trial in result.trials if trial.evaluation.fidelity == 1.0}
    assert 1 < len(full) < len(short)
    for same_problem in (False, True):
        known = get_source(tmp_path / "run", LAYERS, same_problem=same_problem)
        assert len(known.scores) == len(full)
        np.testing.assert_array_equal(known.scores, known.genotypes[:, 0])
    runs, _ = find_runs(LAYERS, [tmp_path])
    assert (runs[0]["trials"], runs[0]["best"]) == (len(full), max(known.scores))


def test_of_a_run_without_a_full_training_the_longest_count_as_another_task(tmp_path):
    class Judge:
        fidelities = (1.0, 3.0)

        def evaluate(self, architecture, *, seed, fidelity=None):
            if fidelity is None:
                return Evaluation.failed("out of memory", cost=9.0)
            return Evaluation(fidelity * architecture.genotype[0], cost=fidelity)

        def describe(self):
            return {}

    search = weaknas.get_strategy("hyperband", LAYERS, resources="1+3+9")
    weaknas.run(search, Judge(), budget=40, output=tmp_path / "run")
    known = get_source(tmp_path / "run", LAYERS)
    np.testing.assert_array_equal(known.scores, 3.0 * known.genotypes[:, 0])
    with pytest.raises(InputError, match="0 architectures of the space trained in full, not at"):
        get_source(tmp_path / "run", LAYERS, same_problem=True)
