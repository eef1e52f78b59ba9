"""The command line: its commands, each imported when it runs, its help, and the exit code of whatever happens.

Everything heavy is imported inside the commands, so that ``closedflow --help`` starts at once.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from closedflow import __version__
from closedflow.exit_codes import BAD_INPUT, INTERNAL, INTERRUPTED
from closedflow.terminal import COMMAND

HELP = "Prove it, integrate it, train it: closed-form training of neural-network layers."
EXAMPLES = """Examples:
  closedflow verify                      the theorems on real digits
  closedflow verify --setting mine.toml  your own setting
  closedflow prove claim.toml            a proof or a counterexample

Exit codes: 0 all holds or was not run, 1 refuted or disagrees,
            2 bad input, 3 undecided, 70 a mistake of closedflow itself."""

app = App(
    name="closedflow",
    help=HELP,
    help_epilogue=EXAMPLES,
    version=__version__,
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # run() says that nothing was written
    help_format="plaintext",
)
# Imported when they run; tests/test_command_line.py says that the words here are those of the functions.
app.command("closedflow.verify_command:verify", help="Prove, integrate and train: the verdict table.")
app.command("closedflow.prove_command:prove", help="A proof, an exact counterexample, or an honest undecided.")
app.command("closedflow.prove_command:check", help="Check a certificate that prove wrote, by the kernel alone.")
app.command("closedflow.solve_command:solve", help="The closed form of a setting, with its proof.")
app.command("closedflow.predict_command:predict", help="The closed form on images: predictions, errors, losses.")
app.command("closedflow.hull_command:hull", help="How far test images are outside a hull of others.")
app.command("closedflow.theorems_command:theorems", help="The library of theorems, or every setting's evidence.")
app.command("closedflow.properties_command:properties", help="Every law on random settings, trained networks included.")
app.command("closedflow.study_command:study", help="Experiments of the papers: claims, verdicts, pictures.")
app.command("closedflow.sweep_command:app", name="sweep", help="Run a grid of experiments, or show their results.")


def run(arguments: Sequence[str]) -> int:
    """Runs the command line and returns its exit code; bad input is one line on stderr."""
    COMMAND.set(tuple(arguments))
    try:
        result = app(list(arguments), exit_on_error=False, print_error=False)
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
    except KeyboardInterrupt:
        return _refuse("interrupted; nothing was written", code=INTERRUPTED)
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
