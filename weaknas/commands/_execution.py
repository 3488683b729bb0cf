"""Options about where and how evaluations are made."""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from weaknas.commands._numbers import Jobs, Positive, Retries
from weaknas.execution.opening import open_executor


@Parameter(name="*")
@dataclass(frozen=True)
class Execution:
    """Options of a command that makes evaluations."""

    jobs: Jobs | None = None
    "Evaluations at the same time; default: one a GPU or Dask worker, else 1."
    executor: str | None = None
    "`process`, `thread` or `dask`; default: worker processes if there are several jobs."
    scheduler: str | None = None
    "Address or file of a Dask scheduler; default: a cluster on this machine."
    workers_per_gpu: Jobs | None = None
    "Worker processes that share a GPU."
    asynchronous: Annotated[bool, Parameter(negative="")] = False
    "Propose one whenever one is done, rather than in rounds."
    time_limit: Positive | None = None
    "Seconds that an evaluation may take; its process is then killed."
    worker_timeout: Positive | None = None
    "Seconds that are waited while a Dask scheduler has no worker; default: 600."
    retries: Retries = 1
    "How often to try again when a worker died, took too long or ran out of memory."

    def open(self) -> AbstractContextManager[Executor | None]:
        """Open the executor, see `open_executor`."""
        return open_executor(
            self.executor,
            self.jobs,
            scheduler=self.scheduler,
            workers_per_gpu=self.workers_per_gpu,
            time_limit=self.time_limit,
            worker_timeout=self.worker_timeout,
        )
