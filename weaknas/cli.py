"""The command line: what is common to all commands.

Exit codes: 0 done, 2 bad input, 1 anything else, 130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from cyclopts import App, CycloptsError

from weaknas.errors import InputError, is_out_of_memory
from weaknas.version import __version__

app = App(
    name="weaknas",
    help="Predictor-based, progressive neural architecture search.",
    help_epilogue="Example: `weaknas search nasbench201 --dataset cifar100 --budget 150`",
    version=__version__,
    suppress_keyboard_interrupt=False,  # handled below
)
# Where each command is, its line of help and an example. Imported when called or asked for help.
_COMMANDS = {
    "search": (
        "search:search",
        "Search a space for its best architecture.",
        "`weaknas search nasbench201 --dataset cifar100 --budget 150 --output runs/first`",
    ),
    "compare": (
        "compare:compare",
        "Compare strategies over many seeds.",
        "`weaknas compare nasbench201 --dataset cifar10,cifar100"
        " --strategies weaknas,weaknas:preset=paper,random --runs 100 --jobs 2"
        " --output runs/compare`",
    ),
    "rank": (
        "rank:rank",
        "Measure how well predictors rank, against training size.",
        "`weaknas rank nasbench201 --dataset cifar100 --predictors gp,xgboost"
        " --train-sizes 50,100,200 --runs 20 --output runs/rank`",
    ),
    "tune": (
        "tune:tune_predictor",
        "Find hyperparameters of a predictor by Optuna.",
        "`weaknas tune xgboost nasbench201 --dataset cifar100 --trials 40"
        " --storage sqlite:///tuning.db --output xgboost.json`",
    ),
    "train": (
        "train:train",
        "Train one architecture in full, test it once, and export it.",
        '`weaknas train nasbench201 "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|'
        '+|skip_connect~0|none~1|nor_conv_3x3~2|" --dataset digits --epochs 20'
        " --output runs/cell`; on several GPUs of a host"
        " `torchrun --nproc-per-node 4 -m weaknas train ...`",
    ),
    "train-supernet": (
        "train_supernet:train_supernet",
        "Train all architectures at once.",
        "`weaknas train-supernet mobilenetv3:width=0.25:resolution=8:classes=10:channels=1"
        " --dataset digits --epochs 60 --output runs/supernet`, then `weaknas search` with the"
        " same space, `--evaluator supernet:checkpoint=runs/supernet/supernet.pt` and perhaps"
        ' `--constraint "macs<=2e6"`',
    ),
    "derive": (
        "derive:derive",
        "Choose an architecture out of a supernet of weighted sums.",
        "`weaknas derive runs/darts/supernet.pt --by perturbation`, after"
        " `weaknas train-supernet nasbench201 --method darts --network channels=8:cells=1"
        " --alpha-rate 0.01 --output runs/darts`",
    ),
    "export": (
        "export:export",
        "Write an architecture for timm, ONNX and torch.export.",
        "`weaknas export mobilenetv3:width=1.2 k33-533-75-3335-55_e44-334-66-4466-33"
        " --supernet ofa_mbv3_d234_e346_k357_w1.2 --dataset imagenet-folder --data imagenet"
        " --output exported`",
    ),
    "latency": (
        "latency:latency",
        "Learn the latency of a device from ten measurements, or measure blocks.",
        "`weaknas latency mobilenetv3:width=1.2 --device cpu --threads 1 --output cpu.json`,"
        ' then `weaknas search mobilenetv3:width=1.2:latency=cpu.json --constraint "latency<=40"`;'
        " `weaknas latency nasbench201 --measure 10 --like devices.csv --output phone.json`, then"
        ' `weaknas search nasbench201 --measured phone.json --constraint "latency<=25ms @95%"`',
    ),
    "landscape": (
        "landscape:landscape",
        "Measure how scores lie on a space, and what that says of how to search it.",
        "`weaknas landscape nasbench201 --dataset cifar100 --output runs/landscape`, or, of the"
        " first 30 trainings of a search, `weaknas landscape nasbench201 --run runs/first --first"
        " 30`",
    ),
    "list": (
        "list:list_names",
        "List spaces, encoders, predictors, strategies, evaluators, data sets or benchmarks.",
        "`weaknas list encoders --space nasbench201`",
    ),
    "watch": (
        "watch:watch",
        "Show a run while it goes on.",
        "`weaknas watch runs/first`, or `weaknas watch runs/first --html first.html`",
    ),
    "sources": (
        "sources:list_sources",
        "List what a search of a space can begin with: tables and earlier runs.",
        "`weaknas sources nasbench201 runs`, then `weaknas search nasbench201 --source runs/first`",
    ),
    "report": (
        "report:report",
        "Write figures and a readable page from finished runs.",
        "`weaknas report runs/compare`",
    ),
    "export-study": (
        "export_study:export_study",
        "Write a run as an Optuna study.",
        "`weaknas export-study runs/first --storage sqlite:///studies.db --follow`",
    ),
}
for _name, (_place, _help, _example) in _COMMANDS.items():
    _epilogue = f"Example: {_example}"
    app.command(f"weaknas.commands.{_place}", name=_name, help=_help, help_epilogue=_epilogue)
# It has commands of its own, with examples of theirs.
_help = "Import official benchmark files, or describe a table."
app.command("weaknas.commands.table:app", name="table", help=_help)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    sys.exit(_run(sys.argv[1:] if arguments is None else list(arguments)))


def _run(arguments: list[str]) -> int:
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names of files may be no text, too
            stream.reconfigure(errors="backslashreplace")
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, InputError) as error:
        message = " ".join(str(error).split())
        print(f"error: {_by_option(message, arguments)}", file=sys.stderr)
        return 2
    except UnicodeEncodeError as error:  # bytes of the command line that are no text
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was written is kept", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print(f"error: out of memory ({' '.join(str(error).split())})", file=sys.stderr)
        return 1
    return 0


def _by_option(message: str, arguments: Sequence[str]) -> str:
    """Return a message that begins with the name of a parameter with that of its option."""
    name = message.partition(" ")[0].rstrip(":")
    option = f"--{name.replace('_', '-')}"
    is_given = any(argument.partition("=")[0] == option for argument in arguments)
    return option + message.removeprefix(name) if is_given else message


def _show_warning(message: Warning | str, *_: object) -> None:
    """Print a warning as one line; where in the code it was raised is of no use here."""
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
