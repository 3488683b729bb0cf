"""What is said of a training while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable

from weaknas.training.trainer import Training


def report_epochs(epochs: int, prefix: str = "") -> Callable[[Training], None]:
    """Return what prints a line on standard error after each epoch.

    Parameters
    ----------
    epochs : int
        How many there will be.
    prefix : str
        Begins the line.
    """

    def report(training: Training) -> None:
        print(
            f"{prefix}epoch {len(training.losses)}/{epochs}, loss {training.losses[-1]:.4f},"
            f" validation {training.metric} {training.value:.4f}, {training.seconds[-1]:.1f} s",
            file=sys.stderr,
            flush=True,
        )

    return report
