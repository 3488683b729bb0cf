"""Running many evaluations at once, and surviving what happens there."""

from weaknas.execution.errors import WorkerLost
from weaknas.execution.interruption import Interruption
from weaknas.execution.pool import ProcessPool

__all__ = ["Interruption", "ProcessPool", "WorkerLost"]
