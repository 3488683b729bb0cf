"""How the loss of an evaluation is told from its failure."""

from __future__ import annotations


class WorkerLost(Exception):
    """An evaluation that brought no result because of where it ran, not of what it was.

    Parameters
    ----------
    status : str
        Status of the trial: ``"worker-died"``, ``"timeout"``, ``"out-of-memory"``
        or ``"failed"``.
    reason : str
        One line for people.
    seconds : float
        How long it had been running.
    """

    def __init__(self, status: str, reason: str, seconds: float = 0.0) -> None:
        super().__init__(status, reason, seconds)  # all of them: pickle rebuilds it from these
        self.status, self.reason, self.seconds = status, reason, seconds

    def __str__(self) -> str:
        return self.reason
