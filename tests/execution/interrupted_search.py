"""A search by the command line, of evaluations held in a folder: folder, more options."""

from __future__ import annotations

import sys
from pathlib import Path

from execution_judges import SPACE, Held


class Problem:
    space, name = SPACE, "slow"

    def __init__(self, folder: str) -> None:
        self.evaluator = Held(Path(folder))


if __name__ == "__main__":
    # Here, for the worker processes import this file too.
    from weaknas.cli import main
    from weaknas.commands import search

    folder, *options = sys.argv[1:]
    setattr(search, "build_problem", lambda *_, **__: Problem(folder))  # noqa: B010
    how = ["--strategy", "random", "--batch-size", "6", "--budget", "12", "--json"]
    main(["search", "small", *how, "--output", f"{folder}/run", *options])
