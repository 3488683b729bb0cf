"""What other devices were measured to need for architectures of the same space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from weaknas.costs.features import SpaceFeatures, as_computed
from weaknas.costs.process import Floats, Process, grid
from weaknas.errors import InputError, unknown
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.spaces.rows import number_rows

_SAMPLE = 2000  # measured architectures that tell mean, spread and agreement
_MOST_KNOWN = 200  # measurements from which others are predicted
#: Standard deviations that the blocks of features contribute to these: more is known.
_SCALES = (0.3, 0.3, 0.1)


class Sources:
    """Costs of architectures on other devices, as far as they were measured.

    What was not measured on a device is predicted from what was.

    Parameters
    ----------
    space : SearchSpace
    genotypes : ndarray of int, shape (m, d)
    values : mapping of str to ndarray, shape (m,)
        Of each device; NaN where it was not measured. Units do not matter.

    Raises
    ------
    InputError
        When there is no device, a value is not positive, or a device has fewer than
        three measurements.
    """

    def __init__(
        self,
        space: SearchSpace,
        genotypes: npt.NDArray[np.integer],
        values: Mapping[str, npt.NDArray[np.floating]],
    ) -> None:
        if not values:
            raise InputError("there is no device among the sources")
        for name, column in values.items():
            check_measurements(name, column[~np.isnan(column)])
        self.space, self.names = space, tuple(values)
        self.genotypes = as_computed(space, np.asarray(genotypes))
        self._logs = np.log(np.stack([np.asarray(v, float) for v in values.values()], axis=1))
        codes = number_rows(self.genotypes, space.cardinalities)
        self._order = np.argsort(codes, kind="stable")
        self._codes = codes[self._order]

    @property
    def values(self) -> dict[str, Floats]:
        """What was measured on each device, shape (m,); NaN where it was not."""
        return dict(zip(self.names, np.exp(self._logs).T, strict=True))

    def select(self, names: Sequence[str]) -> Sources:
        """Return the sources of these names.

        Raises
        ------
        InputError
            When a name is unknown.
        """
        known = self.values
        for name in names:
            if name not in known:
                raise unknown("device", name, known)
        return Sources(self.space, self.genotypes, {name: known[name] for name in names})

    def some(self) -> Genotypes:
        """Return measured architectures, of very many a random sample; shape (n, d)."""
        if len(self.genotypes) <= _SAMPLE:
            return self.genotypes
        chosen = np.random.default_rng(0).choice(len(self.genotypes), _SAMPLE, replace=False)
        return self.genotypes[chosen]

    def __call__(self, genotypes: npt.NDArray[np.integer]) -> Floats:
        """Return the logarithms of the costs of genotypes, (n, d), on the devices; (n, devices)."""
        rows = as_computed(self.space, genotypes)
        codes = number_rows(rows, self.space.cardinalities)
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        found = self._codes[place] == codes
        logs = np.where(found[:, None], self._logs[self._order[place]], np.nan)
        missing = np.isnan(logs)
        needed = missing.any(axis=1)
        if needed.any():
            blocks = self._features(rows[needed])
            for column in np.flatnonzero(missing.any(axis=0)).tolist():
                predicted = self._processes[column].predict(blocks)[0]
                logs[needed, column] = np.where(
                    missing[needed, column], predicted, logs[needed, column]
                )
        return logs

    @cached_property
    def _features(self) -> SpaceFeatures:
        return SpaceFeatures(self.space)

    @cached_property
    def _processes(self) -> list[Process]:
        processes = []
        for logs in self._logs.T:
            known = np.flatnonzero(~np.isnan(logs))
            if len(known) > _MOST_KNOWN:
                known = np.random.default_rng(0).choice(known, _MOST_KNOWN, replace=False)
            blocks = self._features(self.genotypes[known])
            processes.append(Process(blocks, logs[known], grid([[s] for s in _SCALES])))
        return processes


def check_measurements(name: str, values: npt.NDArray[np.floating], least: int = 3) -> None:
    """Refuse measurements, shape (n,), that are too few or no positive numbers.

    Raises
    ------
    InputError
        One line with the first value that is wrong.
    """
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(wrong):
        raise InputError(
            f"{name}: a measurement must be a positive number, not {values[wrong[0]]:g}"
            f" (the {wrong[0] + 1}. of {len(values)})"
        )
    if len(values) < least:
        raise InputError(f"{name}: at least {least} measurements are needed, not {len(values)}")
