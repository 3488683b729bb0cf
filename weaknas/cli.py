"""The command line: what is common to all commands.

Exit codes: 0 done, 2 bad input, 1 anything else, 130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError

from weaknas import __version__
from weaknas.errors import InputError

app = App(
    name="weaknas",
    help="Predictor-based, progressive neural architecture search.",
    help_epilogue="Example: `weaknas search nasbench201 --dataset cifar100 --budget 150`",
    version=__version__,
    suppress_keyboard_interrupt=False,  # handled below
)
# Name: where it is, and its line of help. Imported when called or asked for help.
_COMMANDS = {
    "search": ("search:search", "Search a space for its best architecture."),
    "compare": ("compare:compare", "Compare strategies over many seeds."),
    "rank": ("rank:rank", "Measure how well predictors rank, against training size."),
    "tune": ("tune:tune_predictor", "Find hyperparameters of a predictor by Optuna."),
    "train": ("train:train", "Train one architecture in full, test it once, and export it."),
    "train-supernet": ("train_supernet:train_supernet", "Train all architectures at once."),
    "export": ("export:export", "Write an architecture for timm, ONNX and torch.export."),
    "latency": ("latency:latency", "Measure blocks on this device; write a table of latencies."),
    "list": ("list:list_names", "List spaces, encoders, predictors, strategies or benchmarks."),
    "report": ("report:report", "Write figures and a readable page from finished runs."),
    "export-study": ("export_study:export_study", "Write a run as an Optuna study."),
    "table": ("table:app", "Import official benchmark files, or describe a table."),
}
for _name, (_place, _help) in _COMMANDS.items():
    app.command(f"weaknas.commands.{_place}", name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    sys.exit(_run(sys.argv[1:] if arguments is None else list(arguments)))


def _run(arguments: list[str]) -> int:
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, InputError) as error:
        message = " ".join(str(error).split())
        print(f"error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was measured is kept", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _show_warning(message: Warning | str, *_: object) -> None:
    """Print a warning as one line; where in the code it was raised is of no use here."""
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
