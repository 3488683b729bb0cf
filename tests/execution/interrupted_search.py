"""A search by the command line, of slow evaluations: folder, seconds, more options."""

from __future__ import annotations

import sys
from pathlib import Path

from execution_judges import SPACE, Judge


class Problem:
    space, name = SPACE, "slow"

    def __init__(self, folder: str, seconds: str) -> None:
        self.evaluator = Judge(Path(folder), float(seconds))


if __name__ == "__main__":
    # Here, for the worker processes import this file too.
    from weaknas.cli import main
    from weaknas.commands import search

    folder, seconds, *options = sys.argv[1:]
    setattr(search, "build_problem", lambda *_, **__: Problem(folder, seconds))  # noqa: B010
    how = ["--strategy", "random", "--batch-size", "6", "--budget", "12", "--json"]
    main(["search", "small", *how, "--output", f"{folder}/run", *options])
