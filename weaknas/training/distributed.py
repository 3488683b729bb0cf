"""One training on several devices: started by ``torchrun``, data-parallel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weaknas.errors import InputError


@dataclass(frozen=True)
class Workers:
    """The processes of one training.

    Parameters
    ----------
    rank : int
        Of this process.
    count : int
        Of all; 1 where there is no other.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and decides."""
        return self.rank == 0

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Return the network with gradients averaged over the processes.

        On GPUs batch norms take their statistics over all processes, on CPUs each process
        over its share of a batch, and those of the first are kept.
        """
        if self.count == 1:
            return network
        devices = None
        if device.type == "cuda":
            network, devices = nn.SyncBatchNorm.convert_sync_batchnorm(network), [device.index]
        # A cell may have edges that lead nowhere: their weights get no gradient.
        return nn.parallel.DistributedDataParallel(
            network, device_ids=devices, find_unused_parameters=True
        )

    def share_statistics(self, network: nn.Module) -> None:
        """Give all processes the first one's statistics of batch norms."""
        if self.count > 1:
            for statistic in network.buffers():
                torch.distributed.broadcast(statistic, 0)

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""
        if self.count > 1:
            torch.distributed.all_reduce(values)
        return values

    def agree(self, decision: bool, device: torch.device) -> bool:
        """Return what the first process decided."""
        if self.count == 1:
            return decision
        value = torch.tensor(int(decision), device=device)
        torch.distributed.broadcast(value, 0)
        return bool(value.item())

    def check_epochs(self, epochs: int, device: torch.device) -> None:
        """Refuse to continue from checkpoints that are not the same in all processes.

        Raises
        ------
        InputError
            When the processes have not as many epochs behind them.
        """
        total = int(self.total(torch.tensor(epochs, device=device)).item())
        if total != epochs * self.count:
            raise InputError(
                f"the process {self.rank} continues after epoch {epochs}, others after another"
                " one; the folder of the checkpoint must be one that all hosts share"
            )

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()


#: A training of one process.
ALONE = Workers()


def is_first_process() -> bool:
    """Tell, also before the processes are joined, whether this one writes files and speaks."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def workers(device: torch.device) -> Iterator[Workers]:
    """Join the processes that ``torchrun`` started; without it there is one.

    Parameters
    ----------
    device : torch.device
        Of this process: NCCL connects GPUs, Gloo everything else.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield ALONE
        return
    joined = torch.distributed.is_initialized()
    if not joined:
        if device.type == "cuda":
            # Else the processes of a host would meet, and take memory, on its first GPU.
            torch.cuda.set_device(device)
            torch.distributed.init_process_group("nccl", device_id=device)
        else:
            torch.distributed.init_process_group("gloo")
    try:
        yield Workers(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        if not joined:
            torch.distributed.destroy_process_group()
