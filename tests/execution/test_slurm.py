"""What the docs say of Slurm, on a cluster of one host that is started here.

Needs Debian's slurmctld, slurmd, slurm-client and munge, and dask-jobqueue.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo", "scancel")
#: What of the docs is too much for one machine, and for a test.
SMALLER = {
    '"16GB"': '"1GB"',
    "jobs=8": "jobs=2",
    "workers=8": "workers=2",
    "worker_timeout=86_400": "worker_timeout=120",
    "budget=200": "budget=16",
}
CONFIGURATION = """
ClusterName=weaknas
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
KillWait=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=32 RealMemory=100000 Gres=gpu:4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
OBJECTIVE = """
import os, pathlib, subprocess, time

def train_and_score(architecture):
    with open("jobs.txt", "a") as file:
        names = ("JOB_ID", "CPUS_PER_TASK", "GPUS_ON_NODE")
        file.write(" ".join(os.environ["SLURM_" + name] for name in names) + "\\n")
    time.sleep(0.2)
    done = pathlib.Path("jobs.txt").read_text().splitlines()
    if len({line.split()[0] for line in done}) > 1 and not os.path.exists("ended"):
        open("ended", "w").close()  # once, as at the end of its wall time
        subprocess.run(["scancel", os.environ["SLURM_JOB_ID"]])
        time.sleep(60)
    return float(len(str(architecture)))
"""
SEARCH = """
import weaknas
from objective import train_and_score

search = weaknas.get_strategy("random", weaknas.get_space("nasbench201"))
"""


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture(name="slurm")
def _slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A cluster of one host with four GPUs, all of them in name; the environment of its users."""
    pytest.importorskip("dask_jobqueue")
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"no Slurm to start: {', '.join(missing) or 'it needs root'} is missing")
    folder, host = tmp_path / "slurm", socket.gethostname().partition(".")[0]
    for name in ("", "state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)  # munge wants its socket where others may look
    key, config = folder / "key", folder / "slurm.conf"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    config.write_text(CONFIGURATION.format(host=host, folder=folder, ports=free_ports(2)))
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-3]\n")
    for number in range(4):
        (folder / f"gpu{number}").touch()
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(config)}
    files = {"key-file": key, "socket": folder / "munge.socket", "seed-file": folder / "seed"}
    munge = [f"--{name}={file}" for name, file in files.items()]
    munge += [f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log"]
    commands = [
        ["munged", "--force", "--foreground", *munge],
        ["slurmctld", "-D", "-f", str(config)],
        ["slurmd", "-D", "-f", str(config), "-N", host],
    ]
    processes = []
    try:
        for command in commands:
            log = (folder / f"{command[0]}.log").open("w")
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            until = time.monotonic() + 20
            while command[0] == "munged" and not (folder / "munge.socket").exists():
                assert time.monotonic() < until, (folder / "munged.log").read_text()
                time.sleep(0.1)
        is_idle = ["sinfo", "--noheader", "--format=%T"]
        until = time.monotonic() + 60
        while True:
            done = subprocess.run(is_idle, env=environment, capture_output=True, text=True)
            if done.stdout.strip() == "idle":
                break
            assert time.monotonic() < until, (folder / "slurmd.log").read_text()
            time.sleep(0.3)
        yield environment
    finally:
        cancel = ["scancel", "--partition=main"]
        subprocess.run(cancel, env=environment, capture_output=True, check=False, timeout=60)
        for process in reversed(processes):
            process.terminate()
            process.wait(60)


@pytest.mark.slow
def test_what_the_docs_say_of_slurm(tmp_path: Path, slurm: dict[str, str]) -> None:
    """Their code as it is, with less of everything; one of the two jobs ends in its midst."""
    page = (ROOT / "docs" / "uses" / "many_at_once.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n((?:(?!```).)*SLURMCluster.*?)```", page, re.DOTALL)
    for much, less in SMALLER.items():
        assert much in code
        code = code.replace(much, less)
    (tmp_path / "objective.py").write_text(OBJECTIVE)
    (tmp_path / "search.py").write_text(
        SEARCH + 'if __name__ == "__main__":\n' + textwrap.indent(code, "    ")
    )
    paths = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "search.py"],
        cwd=tmp_path, env={**slurm, "PYTHONPATH": paths}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    jobs = [line.split() for line in (tmp_path / "jobs.txt").read_text().splitlines()]
    assert len({job for job, _, _ in jobs}) == 2
    assert all(given == ["8", "1"] for _, *given in jobs)
    assert len(jobs) == 17  # the evaluation that was lost was made again
    lines = (tmp_path / "runs" / "cluster" / "journal.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 16
    assert [json.loads(line)["status"] for line in lines[1:]] == ["ok"] * 16
