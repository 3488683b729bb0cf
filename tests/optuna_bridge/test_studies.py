"""Studies as sources: from memory, a database, a journal; what is of another space is refused."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import weaknas
from weaknas.errors import InputError
from weaknas.registry import get_source

SPACE = weaknas.ChoiceSpace({"op": ["skip", "conv", "pool"], "width": [16, 32, 64]}, name="mine")


def score(op, width):
    return width / 64 + (op == "conv")


def tell(study, rows=((0, 0), (1, 2), (2, 1), (1, 2))):
    for repeat, (op, width) in enumerate(rows):
        params = {"op": SPACE.choices[0][op], "width": SPACE.choices[1][width]}
        distributions = {
            "op": optuna.distributions.CategoricalDistribution(SPACE.choices[0]),
            "width": optuna.distributions.CategoricalDistribution(SPACE.choices[1]),
        }
        sign = -1 if study.direction == optuna.study.StudyDirection.MINIMIZE else 1
        value = sign * (score(**params) + 0.1 * (repeat == 3))
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, value=value)
        )
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
    return study


def check(source):
    assert source.genotypes.tolist() == [[0, 0], [1, 2], [2, 1]]
    np.testing.assert_allclose(source.scores, [0.25, 2.05, 0.5])


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_study_is_a_source(direction):
    study = tell(optuna.create_study(direction=direction))
    check(get_source(study, SPACE))
    search = weaknas.WeakNAS(SPACE, initial=2, sources=[study])
    assert search.ask()[0].text == "op=conv,width=64"


def test_studies_are_read_from_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tell(optuna.create_study(study_name="first", storage="sqlite:///studies.db"))
    check(get_source("optuna:sqlite:///studies.db", SPACE))
    optuna.create_study(study_name="other", storage="sqlite:///studies.db")
    named = get_source("optuna:sqlite:///studies.db#first", SPACE, same_problem=True)
    check(named)
    assert named.same_problem
    with pytest.raises(InputError, match=r"unknown study of .* 'firts'; did you mean 'first'"):
        get_source("optuna:sqlite:///studies.db#firts", SPACE)
    with pytest.raises(InputError, match=r"unknown study of .* '' \(allowed: first, other\)"):
        get_source("optuna:sqlite:///studies.db", SPACE)
    with pytest.raises(InputError, match="holds 0 architectures"):
        get_source("optuna:sqlite:///studies.db#other", SPACE)
    journal = JournalStorage(JournalFileBackend("journal.log"))
    tell(optuna.create_study(study_name="mine", storage=journal, direction="maximize"))
    check(get_source("optuna:journal.log#mine", SPACE))


def test_no_storage_is_begun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("sqlite:///none.db", "none.log"):
        with pytest.raises(InputError, match=r"there is no file none\.\w+ with studies"):
            get_source(f"optuna:{place}#first", SPACE)
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(InputError, match="cannot open the Optuna storage") as error:
        get_source("optuna:sqlite:///text.db", SPACE)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["text.db"]


def test_what_is_not_of_the_space_is_one_line():
    study = optuna.create_study(study_name="rates")
    study.optimize(lambda trial: trial.suggest_float("rate", 0, 1), n_trials=2)
    with pytest.raises(InputError, match="its parameters are rate, those of the space op, width"):
        get_source(study, SPACE)
    two = optuna.create_study(directions=["minimize", "maximize"])
    with pytest.raises(InputError, match="has 2 objectives; a source has one"):
        get_source(two, SPACE)
