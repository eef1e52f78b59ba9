"""The command line: its commands, each imported when it runs, its help, and the exit code of whatever happens.

Everything heavy is imported inside the commands, so that ``closedflow --help`` starts at once.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from closedflow import __version__
from closedflow.exit_codes import BAD_INPUT, INTERNAL, INTERRUPTED
from closedflow.help_page import HelpPage
from closedflow.terminal import COMMAND, STDOUT

USAGE = "Usage: closedflow COMMAND [--help]"
HELP = "Prove it, integrate it, train it: closed-form training of neural-network layers."
EXAMPLES = """Examples: closedflow verify                      the theorems on real digits
          closedflow verify --setting mine.toml  your own setting
          closedflow prove claim.toml            a proof or a counterexample
Exit codes: 0 all holds or was not run, 1 refuted or disagrees, 2 bad input,
            3 undecided, 70 a mistake of closedflow itself, 130 interrupted."""

app = App(
    name="closedflow",
    usage=USAGE,
    help=HELP,
    help_epilogue=EXAMPLES,
    version=__version__,
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # run() says that nothing was written
    help_format="plaintext",
    help_formatter=HelpPage(),
)
for flag in ("--help", "--version"):
    app[flag].show = False
# Imported when they run; tests/test_command_line.py says that the words here are those of the functions.
for place, name, words, example in (
    ("verify_command:verify", "verify", "Prove, integrate and train: the verdict table.", "T4 --report out.html"),
    (
        "prove_command:prove",
        "prove",
        "A proof, an exact counterexample, or an honest undecided.",
        "claim.toml --json proof.json",
    ),
    ("prove_command:check", "check", "Check a certificate that prove wrote, by the kernel alone.", "proof.json"),
    ("solve_command:solve", "solve", "The closed form of a setting, with its proof.", "setting.toml --format latex"),
    (
        "predict_command:predict",
        "predict",
        "The closed form on images: predictions, errors, losses.",
        "setting.toml --train A.npy --test B.npy --times 0:200:10,inf --out P.npz",
    ),
    (
        "hull_command:hull",
        "hull",
        "How far test images are outside a hull of others.",
        "--train A.npy --test B.npy --kind convex --out table.csv",
    ),
    ("theorems_command:theorems", "theorems", "The library of theorems, or every setting's evidence.", "--settings"),
    (
        "properties_command:properties",
        "properties",
        "Every law on random settings, trained networks included.",
        "semigroup null-space --examples 100",
    ),
    (
        "study_command:study",
        "study",
        "Experiments of the papers: claims, verdicts, pictures.",
        "sample_complexity_of_the_identity --report out.html",
    ),
    ("sweep_command:app", "sweep", "Run a grid of experiments, or show their results.", ""),
    ("doctor_command:doctor", "doctor", "What is installed here, and whether it will do.", "--json -"),
    ("completion_command:completion", "completion", "The script that completes commands in your shell.", "bash"),
):
    more = {"help_epilogue": f"Example: closedflow {name} {example}"} if example else {}
    app.command(f"closedflow.{place}", name=name, help=words, **more)


def run(arguments: Sequence[str]) -> int:
    """Runs the command line and returns its exit code; bad input is one line on stderr."""
    COMMAND.set(tuple(arguments))
    try:
        result = app(
            [str(STDOUT) if word == "-" else word for word in arguments], exit_on_error=False, print_error=False
        )
    except CycloptsError as error:
        return _refuse(" ".join(str(error).split()) + " See closedflow --help.")
    except ValueError as error:
        from theory.errors import SettingError

        if isinstance(error, SettingError):
            return _refuse(str(error))
        return _internal()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        return 0
    except KeyboardInterrupt as stop:  # a command that keeps what had ended says so
        return _refuse(f"interrupted; {str(stop) or 'nothing was written'}", code=INTERRUPTED)
    except Exception:
        return _internal()
    return int(result or 0)


def _internal() -> int:
    """An error that nobody foresaw: never one of the codes that mean something."""
    import traceback

    traceback.print_exc()
    return _refuse("this is a mistake of closedflow, not of your input; the traceback above says where", code=INTERNAL)


def _refuse(message: str, code: int = BAD_INPUT) -> int:
    print(f"closedflow: {message}", file=sys.stderr)
    return code
