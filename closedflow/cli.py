"""The command line: reads arguments, calls the public functions, prints; nothing is computed here.

Everything heavy is imported inside the commands, so that ``closedflow --help`` starts at once.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from closedflow import __version__
from closedflow.terminal import console, progress, save, whole_numbers

if TYPE_CHECKING:
    from empirical.data import Images

BAD_INPUT, INTERNAL, UNDECIDED = 2, 70, 3

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
app.command("closedflow.hull_command:hull", help="How far test images are outside a hull of the training images.")
app.command("closedflow.study_command:study", help="Experiments of the papers: claims, verdicts and pictures.")
app.command(
    "closedflow.sweep_command:app", name="sweep", help="Run a grid of experiments, each stored; or show their results."
)


@Parameter(name="*")
@dataclass(frozen=True)
class Data:
    """Options that choose the images."""

    key: str | None = None
    """Array to take from an .npz file."""
    image_shape: str | None = None
    """Channels and sizes of one image, such as 1,28,28; inferred if square."""
    examples: str | None = None
    """Training examples by index, such as 0,5."""

    def read(self, path: Path) -> "Images":
        """The images in a file."""
        from empirical.data import read_images

        shape = None if self.image_shape is None else whole_numbers("image-shape", self.image_shape)
        return read_images(path, key=self.key, image_shape=shape)


@app.command
def verify(
    *theorems: str,
    all_cases: Annotated[bool, Parameter(name="--all", negative="")] = False,
    setting: Path | None = None,
    data: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    dtype: Literal["float64", "float32"] = "float64",
    seed: int = 0,
    json: Path | None = None,
    options: Data = Data(),
) -> int:
    """Prove, integrate and train: the verdict table.

    Args:
        theorems: Names or ids (see `closedflow theorems`); all of them if none is given.
        all_cases: Every case, not only the most telling ones.
        setting: A TOML file with a setting of your own, instead of the theorems.
        data: Images to train on: .npy, .npz or IDX, or a .gz of it. Default: scikit-learn's digits.
        device: Where training runs.
        dtype: The arithmetic of the training.
        seed: Seed of the starts.
        json: Also write the table to this file.
        options: Which images.
    """
    from closedflow.table import print_table
    from closedflow.verdicts import verify as run_verify
    from empirical.data import digits
    from numerics.files import whole_file
    from theory.errors import SettingError
    from theory.setting import Setting

    if setting is not None and theorems:
        message = f"theorems must be left out with --setting, but they are {', '.join(theorems)}. Run them apart."
        raise SettingError(message)
    chosen = None if setting is None else Setting.load(setting)
    images = digits() if data is None else options.read(data)
    first = whole_numbers("examples", options.examples or "0")
    trained = images.take(first)
    if chosen is None:
        # Cases that need more examples, and the test images, take the others in their order.
        others = [index for index in range(len(images.values)) if index not in set(first)]
        shown = images.take([*first, *others])
        images = type(images)(shown.values, trained.source)
    # Opened before the work, so that a path that cannot be written is refused at once.
    with whole_file(json) if json else nullcontext() as file, progress() as report:
        table = run_verify(
            list(theorems) or None,
            chosen,
            trained if chosen else images,
            device,
            seed,
            every_case=all_cases,
            dtype=dtype,
            progress=report,
        )
        if file:
            file.write(f"{table.to_json()}\n".encode())
    print_table(table, console())
    return table.exit_code


@app.command
def theorems(
    *, settings: Annotated[bool, Parameter(negative="")] = False, device: str = "auto", json: Path | None = None
) -> int:
    """The library: statements, hypotheses, false twins and cases; or which settings have which evidence.

    Args:
        settings: Instead, take every optimiser and every layer through proof, integration and training.
        device: Where training runs then: auto, cpu or cuda.
        json: Write the list to this file instead.
    """
    if settings:
        return _settings(device, json)
    import json as json_module

    from theory.theorems import library

    if json is not None:
        rows = [
            {
                "id": theorem.id,
                "name": theorem.name,
                "title": theorem.title,
                "statement": theorem.statement,
                "hypotheses": theorem.hypotheses,
                "claims": [{"says": claim.says, "claim": claim.equation} for claim in theorem.claims],
                "false_twin": {"says": theorem.false_twin.says, "claim": theorem.false_twin.equation},
                "cases": [case.name for case in theorem.every_case],
            }
            for theorem in library()
        ]
        save(json, json_module.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        return 0
    out = console()
    for theorem in library():
        out.print(f"[bold]{theorem.id} {theorem.title}[/]  ({theorem.name})", highlight=False)
        out.print(f"  {theorem.statement}", highlight=False, markup=False)
        out.print(f"  Assumes: {'; '.join(theorem.hypotheses)}.", highlight=False, markup=False)
        out.print(f"  False twin: {theorem.false_twin.says}.", highlight=False, markup=False)
        out.print(
            f"  Cases: {'; '.join(case.name for case in theorem.every_case) or 'none, it is about all dimensions'}.\n",
            highlight=False,
            markup=False,
        )
    return 0


def _settings(device: str, json: Path | None) -> int:
    from closedflow.evidence import settings_matrix
    from closedflow.table import print_table

    with progress() as report:
        table = settings_matrix(device, progress=report)
    if json is not None:
        save(json, f"{table.to_json()}\n")
    else:
        print_table(table, console())
    return table.exit_code


@app.command
def solve(setting: Path, *, format: Literal["text", "latex", "markdown", "python", "json"] = "text") -> int:
    """The closed form of a setting, with its proof.

    Args:
        setting: A TOML file.
        format: How to print it; python is a standalone numpy function.
    """
    from theory.setting import Setting
    from theory.solution import solve as solve_setting

    solution = solve_setting(Setting.load(setting))
    match format:
        case "latex":
            print(solution.latex())
        case "markdown":
            print(solution.markdown())
        case "python":
            print(solution.python())
        case "json":
            print(_json(solution))
        case _:
            print(solution)
    return UNDECIDED if solution.proof.verdict == "undecided" else 1 if solution.proof.verdict == "refuted" else 0


def _json(solution: Any) -> str:
    import json

    one = solution.one_example
    fields = {
        "setting": str(solution.setting),
        "weight": str(solution.weight),
        "residual": str(solution.residual),
        "rates": str(solution.rates),
        "limit": str(solution.limit),
        **({} if solution.end is None else {"g_oo": str(solution.end), "q_oo": "(1 - g_oo)/s"}),
        "one_example": {"weight": str(one.weight), "limit": str(one.limit), "where": one.where},
        "latex": solution.latex(),
        "proof": {"verdict": solution.proof.verdict, "lemmas": solution.proof.lemmas, "reason": solution.proof.reason},
    }
    return json.dumps(fields, indent=1, ensure_ascii=False)


@app.command
def predict(
    setting: Path,
    *,
    train: Path,
    test: Path,
    times: str,
    out: Path,
    plot: Path | None = None,
    seed: int = 0,
    options: Data = Data(),
) -> int:
    """The closed form on data: predictions, errors and losses at the given times, in one .npz file.

    Args:
        setting: A TOML file.
        train: Training images; all of them, unless --examples chooses.
        test: Test images.
        times: Flow times, or step counts for a descent, such as 0,10,inf.
        out: The .npz file to write: times, predictions, error, loss, weight, bias, and the setting as text.
        plot: Also draw the predictions to this picture.
        seed: Seed of the start.
        options: Which images.
    """
    from closedflow.prediction import predict_files

    return predict_files(setting, options.read(train), options.read(test), options.examples, times, out, plot, seed)


@app.command
def prove(claim: Path, *, seconds: float = 20.0, json: Path | None = None) -> int:
    """A proof for all dimensions, an exact counterexample, or an honest "undecided".

    Args:
        claim: A TOML file with claim, shapes, and if needed assume, scalars, flow and where; or with weight, rate, and if
            needed start and limit instead of claim: that W(t) solves d(W) == rate.
        seconds: When to give up; more than 20 also searches further.
        json: Write the certificate to this file if the claim is proved.
    """
    from closedflow.claims import load_claim
    from theory.component import check_number
    from theory.operators import Budget, prove_weight
    from theory.operators import prove as prove_claim

    check_number("seconds", seconds, above=0)
    table, budget = load_claim(claim), Budget.of(seconds)
    proof = prove_weight(**table, budget=budget) if "weight" in table else prove_claim(**table, budget=budget)
    print(f"{proof}\n  in {proof.seconds:.3f} s")
    if json is not None and proof.certificate is not None:
        save(json, proof.certificate + "\n")
    return {"proved": 0, "refuted": 1}.get(proof.verdict, UNDECIDED)


@app.command
def check(certificate: Path) -> int:
    """Check a certificate that prove wrote, by the kernel alone.

    Args:
        certificate: The JSON file.
    """
    from theory.operators import check_certificate

    holds = check_certificate(certificate)
    print(f"{'proved' if holds else 'not a proof'}: {certificate}")
    return 0 if holds else 1


def run(arguments: Sequence[str]) -> int:
    """Runs the command line and returns its exit code; bad input is one line on stderr."""
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
        return _refuse("interrupted; nothing was written", code=130)
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
