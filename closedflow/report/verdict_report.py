"""The report of `verify`: the verdict table, then a page for each theorem, or for a setting of one's own."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from closedflow.report.document import Document, Formulas, Grid, Items, Picture, Section, Text, Verdict
from closedflow.report.figures import can_show, course, course_in_words, kernels, law, pictures
from closedflow.report.mathml import equation, formula
from closedflow.table import notes, shown_ratio
from closedflow.verdicts import Row, VerdictTable, measurement, split
from empirical.batch import Stop
from empirical.curves import curves
from empirical.data import Images
from empirical.ensemble import train_ensemble
from empirical.levels import Level
from empirical.networks import Feedforward
from empirical.train import train_problem
from empirical.views import show
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.operators import LEMMAS, check_certificate
from theory.optimizers import GradientDescent, GradientFlow
from theory.setting import Setting
from theory.solution import solve
from theory.starts import Gaussian
from theory.theorems import Case, Theorem, library

NETWORKS = 400  # trained for a histogram of the error
STEPS = 40  # of each
STD = 0.1  # of their start


def verdict_report(table: VerdictTable, images: Images, device: str, seed: int, arguments: Sequence[str]) -> Document:
    """The report of a verdict table on theorems.

    Args:
        table: The verdicts.
        images: The images of the run, training examples first.
        device: Where the networks of the figures are trained.
        seed: Seed of the starts.
        arguments: The command line, so that the report says how to reproduce it.
    """
    chosen = {row.id for row in table.rows}
    theorems = [theorem for theorem in library() if theorem.id in chosen]
    sections = [verdict_section(table)]
    for theorem in theorems:
        rows = [row for row in table.rows if row.id == theorem.id]
        sections.append(theorem_section(theorem, rows, images, device, seed))
    return Document(
        "closedflow: the verdicts", table.header | {"command": command(arguments)}, [*sections, lemma_section(table)]
    )


def setting_report(
    table: VerdictTable,
    setting: Setting,
    images: Images,
    examples: int,
    device: str,
    seed: int,
    arguments: Sequence[str],
) -> Document:
    """The report of a setting of one's own, trained on the first ``examples`` images and shown another one."""
    solution = solve(setting)
    parts = (("weight", solution.weight), ("residual", solution.residual), ("limit", solution.limit))
    blocks: list[Any] = [
        Text(str(setting)),
        Formulas(
            "The closed form", [(name, formula(expression)) for name, expression in parts if expression is not None]
        ),
    ]
    train, test = (setting.layer.arrange(part) for part in split(images.values, examples))
    blocks += figures(Predictor(setting, train, seed=seed), test[:1], device, seed)
    blocks.append(Text(setting.to_toml(), "code"))
    return Document(
        "closedflow: a setting",
        table.header | {"command": command(arguments)},
        [verdict_section(table), Section("setting", "The setting", blocks), lemma_section(table)],
    )


def command(arguments: Sequence[str]) -> str:
    """A command line, ready to be pasted."""
    return shlex.join(["closedflow", *arguments])


def verdict_section(table: VerdictTable) -> Section:
    """The table that comes first."""
    rows = [
        (
            {"text": f"{row.id} {row.title}", "link": row.id},
            row.case,
            Verdict(row.proof, f"{row.seconds:.1f} s"),
            level(row.integration),
            level(row.training),
        )
        for row in table.rows
    ]
    found = [verdict for row in table.rows for verdict in (row.proof, row.integration.verdict, row.training.verdict)]
    summary = ", ".join(f"{found.count(name)} {name}" for name in dict.fromkeys(found))
    blocks: list[Any] = [
        Text(f"{summary}. The numbers are the worst residual ÷ budget: 1 is the computed limit."),
        Grid("Every theorem and case, by proof, integration and training", COLUMNS, rows),
        *(Text(line, "note") for line in notes(table)),
    ]
    return Section("verdicts", "Verdicts", blocks)


COLUMNS = ("theorem", "case", "proof", "integration", "training")


def level(found: Level) -> Verdict:
    """A level's verdict with its ratio."""
    return Verdict(found.verdict, "" if found.verdict == "not run" else shown_ratio(found.ratio))


def theorem_section(theorem: Theorem, rows: Sequence[Row], images: Images, device: str, seed: int) -> Section:
    """A theorem's page: statement, hypotheses, proof, false twin, and the pictures of its cases."""
    blocks: list[Any] = [
        Text(theorem.statement),
        Items("Assumes", theorem.hypotheses),
        Formulas("Claims that the prover decided, each for all dimensions", claims(theorem.claims)),
        Formulas("False twin, which is refuted", claims([theorem.false_twin])),
        proof_table(theorem),
    ]
    for case, row in zip((one for one in theorem.every_case if _matches(one, rows)), rows, strict=False):
        if isinstance(case, Case):
            train, test = split(images.values, case.examples)
            measured = measurement(case, train, test, seed)
            _, shown = show(case.view, train, test)
            predictor = measured.predictor
            blocks.append(Text(f"Case: {row.case}. {predictor.setting}"))
            blocks += figures(predictor, predictor.setting.layer.arrange(shown)[:1], device, seed)
    return Section(theorem.id, f"{theorem.id} {theorem.title}", blocks)


def _matches(case: Any, rows: Sequence[Row]) -> bool:
    return any(row.case.startswith(case.name) for row in rows)


def claims(found: Iterable[Any]) -> list[tuple[str, str]]:
    """Claims in words and as MathML, with their local definitions and hypotheses."""
    shown = []
    for claim in found:
        if (formulas := getattr(claim, "formulas", None)) is not None:
            shown.append((claim.says, "".join(map(formula, formulas))))
            continue
        words = claim.says
        lines = [equation(claim.equation, claim.flow)]
        lines += [equation(f"{name} == {text}", claim.flow) for name, text in (claim.where or {}).items()]
        if claim.assume:
            words += "; given the equations below it" if claim.where is None else "; given the last equations"
            lines += [equation(text, claim.flow) for text in claim.assume if "==" in text]
        shown.append((words, "".join(lines)))
    return shown


def proof_table(theorem: Theorem) -> Grid:
    """What each proof used, how large its certificate is, and whether the kernel checks it again."""
    rows = []
    for claim, proof in zip(theorem.claims, theorem.proofs, strict=True):
        certificates = claim.certificates()
        checked = all(map(check_certificate, certificates))
        size = f"{sum(map(len, certificates)) / 1000:.1f} kB" if certificates else "none: by normal form"
        kernel = Verdict("holds" if checked else "refuted", "checked again") if certificates else "–"
        used = "; ".join(proof.used) or "definitions only"
        rows.append((claim.says, Verdict(proof.verdict), used, "; ".join(proof.side_conditions) or "–", size, kernel))
    columns = ("claim", "proof", "uses", "provided", "certificate", "kernel")
    return Grid(f"The proofs of {theorem.id}", columns, rows)


def figures(predictor: Predictor, x: Any, device: str, seed: int) -> list[Any]:
    """The pictures of one setting: its course, what it makes of an image, its kernel, the law of its error."""
    setting, problem = predictor.setting, predictor.problem
    if not setting.target.is_function:
        return [Text("The target is given on the training examples only: there is no error on others to draw.", "note")]
    y = np.asarray(setting.target.values(setting.layer, x, np))
    found = curves(predictor, x, y, device)
    blocks: list[Any] = [
        Picture(course(found), course_in_words(found), "The error on a test image: predicted, integrated, trained.")
    ]
    for name, points in (("Integrated", found.integrated), ("Trained", found.trained)):
        if points.reason:
            blocks.append(Text(f"{name} points are not shown: {points.reason}.", "note"))
    if can_show(found):
        alt = "The test image and what the network makes of it, from the start to the end of training"
        blocks.append(Picture(pictures(found), alt, "A test image, and what the network makes of it."))
    if not found.trained.reason:
        blocks += kernel_picture(predictor, device)
    return blocks + law_picture(setting, problem.inputs, x, device, seed)


def kernel_picture(predictor: Predictor, device: str) -> list[Any]:
    """Heat maps of the first kernel, predicted and trained, for layers that have one."""
    rule: Any = predictor.setting.optimizer.rule
    weight = predictor.problem.to_torch(predictor.problem.start)[0]
    if weight.ndim != 4:
        return []
    rate = None if rule.discrete else 0.01 / (float(predictor.rates.max()) or 1.0)
    run = train_problem(predictor.problem, STEPS * 10, record=[STEPS * 10], learning_rate=rate, device=device)
    if run.diverged:
        return []
    time = STEPS * 10 if rate is None else float(rule.companion_time(rate, np.array([STEPS * 10]))[0])
    predicted, trained = predictor.weight([time])[0, 0, 0], run.final[0, 0]
    worst = float(np.abs(predicted - trained).max())
    alt = f"Two kernels that look alike; no entry differs by more than {worst:.2g}"
    return [
        Picture(
            kernels(predicted, trained), alt, f"The first kernel after training; the largest difference is {worst:.2g}."
        )
    ]


def law_picture(setting: Setting, inputs: Any, x: Any, device: str, seed: int) -> list[Any]:
    """The errors of many trained networks against the law of the error, where there is one."""
    plain = replace(setting, optimizer=GradientFlow(), start=Gaussian(STD))
    try:
        fastest = float(Predictor(plain, inputs, seed=0).rates.max())
        if fastest == 0 or setting.optimizer.rule is not setting.optimizer:
            return []
        plain = replace(plain, optimizer=GradientDescent(0.5 / fastest))
        found = Predictor(plain, inputs, seed=0).error_law(x[0], STEPS, init_std=STD)
    except SettingError:
        return []
    target = setting.target.resolve(inputs)
    ensemble = train_ensemble(
        Feedforward(setting.layer, start=Gaussian(STD)),
        inputs,
        np.asarray(target.values(setting.layer, inputs, np)),
        seeds=range(seed, seed + NETWORKS),
        optimizer=plain.optimizer,
        stop=Stop(STEPS, every=STEPS),
        loss=setting.loss,
        weight_decay=setting.weight_decay,
        device=device,
        dtype="float64",
    )
    y = np.asarray(target.values(setting.layer, x, np))
    errors = ((ensemble.outputs(x)[:, 0] - y[0]) ** 2).reshape(NETWORKS, -1).sum(axis=1)
    if errors.std() < 1e-9 * errors.mean() or errors.mean() < 1e-20:
        return []
    caption = (
        f"The error of {NETWORKS} networks after {STEPS} steps of plain gradient descent from starts N(0, {STD}²), and the law of it: mean "
        f"{errors.mean():.3g} and {float(found.mean()):.3g}, standard deviation {errors.std():.3g} and {float(found.std()):.3g}."
    )
    return [Picture(law(errors, found.cdf), f"A histogram that follows the curve of the law. {caption}", caption)]


def lemma_section(table: VerdictTable) -> Section:
    """What the proofs stand on."""
    used = sorted({name for row in table.rows for name in row.lemmas})
    return Section(
        "lemmas",
        "Lemmas that the proofs stand on",
        [Items("From a closed list", [f"{name}: {LEMMAS[name]}" for name in used])],
    )
