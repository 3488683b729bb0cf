"""Many evaluations at once, and surviving what happens there.

`evaluations` hands work to any executor, `pool` starts processes, `dask` reaches other
hosts, `opening` reads what a user asks for. May import spaces and evaluators; trials,
strategies and budgets are not known here.
"""

from weaknas.execution.errors import WorkerLost
from weaknas.execution.interruption import Interruption
from weaknas.execution.pool import ProcessPool

__all__ = ["Interruption", "ProcessPool", "WorkerLost"]
