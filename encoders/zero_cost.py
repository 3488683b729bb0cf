"""What an untrained network says of itself, as features."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.encoders._base import Encoder, Features
from weaknas.errors import InputError, check_list, check_seed, optional_import, unknown
from weaknas.files import parse_json
from weaknas.spaces import Genotypes, SearchSpace

if TYPE_CHECKING:
    from torch import Tensor, nn

#: What `zero_cost` can measure.
PROXIES = (
    "synflow", "jacov", "naswot", "grad-norm", "snip", "grasp", "fisher", "params", "macs",
)  # fmt: skip

_BATCH = 32

# What was measured in this process: by setting, then by id, then by proxy. All are pure
# functions of these, and a study builds many encoders of one space.
_MEMORY: dict[str, dict[str, dict[str, float]]] = {}


def zero_cost(
    network: nn.Module, images: Tensor, labels: Tensor, names: Iterable[str] | None = None
) -> dict[str, float]:
    """Score an untrained network by one batch of images; the higher, the better it should be.

    ``synflow``: Tanaka et al. (NeurIPS 2020, arXiv:2006.05467), without batch norms as in
    Abdelfattah et al. (ICLR 2021, arXiv:2101.08134); ``jacov``, the covariance of
    Jacobians: Mellor et al. (arXiv:2006.04647v1); ``naswot``: the same authors' later
    score (ICML 2021, v3); ``grad-norm``: Abdelfattah et al.; ``snip``: Lee et al. (ICLR
    2019, arXiv:1810.02340); ``grasp``: Wang et al. (ICLR 2020, arXiv:2002.07376) and
    ``fisher``: Turner et al. (ICLR 2020, arXiv:1906.04113), both as in Abdelfattah et al.;
    ``params`` and ``macs`` are counted. Nothing is drawn: the same network and images give
    the same scores. The network is not changed and may be on any device.

    Parameters
    ----------
    network : Module
        Maps images to logits.
    images : Tensor, shape (n, channels, height, width)
        Normalised as for training; at least two.
    labels : Tensor of int, shape (n,)
    names : iterable of str, optional
        Some of `PROXIES`; default all.

    Returns
    -------
    dict of str to float
        May hold an infinity where sums overflow.

    Raises
    ------
    InputError
        When a name is unknown, images and labels do not fit, or torch is not installed.
    """
    chosen = list(PROXIES if names is None else names)
    for name in chosen:
        if name not in PROXIES:
            raise unknown("zero-cost proxy", name, PROXIES)
    _check_batch(images, labels)
    optional_import("torch", "train")
    from weaknas.encoders._zero_cost import measure

    return measure(network, images, labels, chosen)


def _check_batch(images: Tensor | npt.NDArray[Any], labels: Tensor | npt.NDArray[Any]) -> None:
    if images.ndim != 4 or len(images) < 2 or tuple(labels.shape) != (len(images),):
        raise InputError(
            "zero-cost proxies need n images, shape (n, channels, height, width), and n"
            f" labels, n at least 2; not {tuple(images.shape)} and {tuple(labels.shape)}"
        )


class ZeroCostEncoder(Encoder):
    """One column a zero-cost proxy of an untrained network: the inverse hyperbolic sine of it.

    Each architecture is built and measured when it is first encoded, a small network on
    one core in a few hundredths of a second, and remembered while the process lasts, or
    for longer in a file.

    Parameters
    ----------
    space : SearchSpace
        With networks.
    proxies : sequence of str
        Some of `PROXIES`.
    images : ndarray of float, shape (n, channels, height, width), optional
        Normalised; default: 32 of scikit-learn's digits, 8 x 8 pixels.
    labels : ndarray of int, shape (n,), optional
        With `images`.
    skeleton : mapping of str, optional
        Settings of the networks, see `SearchSpace.network`; default: the small one of
        the space.
    seed : int
        Of the weights, and of the choice of digits.
    cache : path, optional
        A file of JSON lines, to which measurements are added.

    Raises
    ------
    InputError
        When the space has no networks, torch is not installed, or a value cannot be used.
    """

    has_trend = True
    needs = "a space with networks, and torch (pip install 'weaknas[train]')"

    def __init__(
        self,
        space: SearchSpace,
        proxies: Sequence[str] = ("synflow", "jacov", "naswot", "grad-norm", "snip"),
        *,
        images: npt.NDArray[np.floating] | None = None,
        labels: npt.NDArray[np.integer] | None = None,
        skeleton: Mapping[str, Any] | None = None,
        seed: int = 0,
        cache: str | Path | None = None,
    ) -> None:
        super().__init__(space)
        check_list("proxies", proxies)
        self.seed = check_seed(seed)
        if skeleton is not None and not isinstance(skeleton, Mapping):
            raise InputError(f"skeleton must be a mapping of settings, not {skeleton!r}")
        for name in proxies:
            if name not in PROXIES:
                raise unknown("zero-cost proxy", name, PROXIES)
        if not proxies:
            raise InputError(f"no zero-cost proxy is given; they are {', '.join(PROXIES)}")
        if (images is None) != (labels is None):
            raise InputError("images and labels are given together or not at all")
        if images is not None and labels is not None:
            _check_batch(images, labels)
        self.proxies = proxies
        self.images, self.labels = images, labels
        self.skeleton, self.cache = skeleton, cache

    @classmethod
    def supports(cls, space: SearchSpace) -> bool:
        """Tell whether the space has networks that read images and torch is installed."""
        reads_images = space.has_networks and space.reads != "tokens"
        return reads_images and find_spec("torch") is not None

    def _encode(self, canonical: Genotypes) -> Features:
        values = np.array(
            [[found[name] for name in self.proxies] for found in self.measure(canonical)],
            dtype=np.float64,
        ).reshape(len(canonical), len(self.proxies))
        # Proxies span many magnitudes; one that overflows is the largest, NaN the smallest.
        finite = np.nan_to_num(values, nan=np.finfo(np.float64).min)
        return np.arcsinh(finite).astype(np.float32)

    def measure(self, genotypes: npt.NDArray[np.integer]) -> list[dict[str, float]]:
        """Return the proxies themselves, those of canonical forms, of genotypes, shape (n, d)."""
        rows = self.space.canonicalize(genotypes)
        ids = self.space.canonical_ids(rows)
        images, labels = self._data()
        setting = self._setting(images, labels)
        known = _MEMORY.setdefault(setting, {})
        if self.cache is not None and any(self._lacks(known, identity) for identity in ids):
            _read(Path(self.cache), setting, known)
        for identity, row in zip(ids, rows, strict=True):
            lacking = self._lacks(known, identity)
            if lacking:
                found = known.setdefault(identity, {})
                found |= self._measure(row, images, labels, lacking)
                if self.cache is not None:
                    _append(Path(self.cache), {"setting": setting, "id": identity, **found})
        return [known[identity] for identity in ids]

    def _lacks(self, known: dict[str, dict[str, float]], identity: str) -> list[str]:
        return [name for name in self.proxies if name not in known.get(identity, {})]

    def _measure(
        self,
        row: Genotypes,
        images: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        names: list[str],
    ) -> dict[str, float]:
        from weaknas.encoders._zero_cost import measure_untrained

        def build() -> nn.Module:
            return self.space.network(
                row,
                classes=int(labels.max()) + 1,
                shape=images.shape[1:],
                **self._skeleton(),
            )

        return measure_untrained(build, images, labels, names, self.seed)

    def _skeleton(self) -> dict[str, Any]:
        return dict(self.space.small_network if self.skeleton is None else self.skeleton)

    def _data(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        if self.images is not None and self.labels is not None:
            return np.asarray(self.images, dtype=np.float32), np.asarray(self.labels, np.int64)
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        images = (pixels - pixels.mean()) / pixels.std()
        drawn = np.random.default_rng(self.seed).permutation(len(labels))[:_BATCH]
        return images[drawn].reshape(-1, 1, 8, 8).astype(np.float32), labels[drawn]

    def _setting(self, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> str:
        """Return a short text that differs where measurements do."""
        plain = [self.space.describe(), self._skeleton(), self.seed, images.shape]
        digest = hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=8)
        digest.update(np.ascontiguousarray(images).data)
        digest.update(np.ascontiguousarray(labels).data)
        return digest.hexdigest()


def _read(path: Path, setting: str, known: dict[str, dict[str, float]]) -> None:
    """Add what a file holds of a setting; a line that was cut off is left out."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            record = parse_json(line)
            if record.pop("setting") == setting:
                identity = record.pop("id")
                values = {name: float(value) for name, value in record.items()}
                known.setdefault(identity, {}).update(values)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def _append(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        # The line before may have been cut off.
        file.write("\n" + json.dumps(record))
