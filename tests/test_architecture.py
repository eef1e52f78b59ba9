"""The house itself: file sizes, where a concrete class may be named, and what an import pulls in."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("theory", "numerics", "empirical", "closedflow")
FAMILIES = {"Layer", "Optimizer"}
ABSTRACT = {"Layer", "Optimizer", "Descent", "Flow"}


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def bases_of_classes(paths: list[Path]) -> dict[str, tuple[set[str], Path]]:
    """Each class of the files: the names of its bases, and its file."""
    found = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name] = ({name(base) for base in node.bases}, path)
    return found


def name(node: ast.expr) -> str:
    """The last part of a dotted name; of Generic[…], the name before the bracket."""
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def concrete_components(paths: list[Path]) -> dict[str, Path]:
    """Every concrete layer and optimiser, and the file that defines it."""
    classes = bases_of_classes(paths)
    members = set(FAMILIES)
    while grown := {key for key, (bases, _) in classes.items() if bases & members} - members:
        members |= grown
    return {key: classes[key][1] for key in members - ABSTRACT}


def class_tests(tree: ast.AST) -> list[tuple[str, int]]:
    """The classes that code asks about, by isinstance, issubclass, type(…) is, or a case pattern; with the line."""
    asked: list[tuple[ast.expr, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name(node.func) in ("isinstance", "issubclass") and len(node.args) == 2:
            asked.append((node.args[1], node.lineno))
        elif isinstance(node, ast.Compare) and any(
            isinstance(side, ast.Call) and name(side.func) == "type" for side in (node.left, *node.comparators)
        ):
            asked += [(side, node.lineno) for side in (node.left, *node.comparators)]
        elif isinstance(node, ast.MatchClass):
            asked.append((node.cls, node.lineno))
    return [
        (name(part), line)
        for expression, line in asked
        for part in ast.walk(expression)
        if isinstance(part, (ast.Name, ast.Attribute))
    ]


def forbidden_tests(text: str, components: dict[str, Path], path: Path) -> list[str]:
    return [
        f"{path.name}:{line} asks for {cls}"
        for cls, line in class_tests(ast.parse(text))
        if cls in components and components[cls] != path
    ]


@pytest.mark.parametrize("path", sources(*PACKAGES, "tests", "benchmarks", "examples"), ids=lambda path: path.name)
def test_file_has_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_median_file_is_short() -> None:
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in sources(*PACKAGES))
    assert lengths[len(lengths) // 2] <= 200


def test_no_file_is_called_utils_or_misc() -> None:
    bad = {"utils", "util", "misc", "helpers", "common"}
    assert [path.name for path in sources(*PACKAGES) if path.stem in bad] == []


def test_concrete_layers_and_optimizers_are_known_by_name() -> None:
    known = concrete_components(sources(*PACKAGES))
    assert {"Linear", "Conv", "GradientFlow", "GradientDescent", "HeavyBall", "Adam"} <= set(known)
    assert not ABSTRACT & set(known)


def test_nothing_asks_for_a_concrete_layer_or_optimizer_outside_its_own_file() -> None:
    components = concrete_components(sources(*PACKAGES))
    found = [
        line
        for path in sources(*PACKAGES)
        for line in forbidden_tests(path.read_text(encoding="utf-8"), components, path)
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "isinstance(layer, Conv)",
        "isinstance(layer, (Linear, layers.Conv))",
        "isinstance(optimizer, Linear | HeavyBall)",
        "issubclass(cls, theory.layers.Linear)",
        "type(layer) is Conv",
        "type(optimizer) in (GradientDescent, HeavyBall)",
        "Adam == type(optimizer)",
        "match layer:\n    case Conv(kernel_size=3): pass",
    ],
)
def test_planted_question_for_a_concrete_class_is_found(code: str) -> None:
    components = concrete_components(sources(*PACKAGES))
    assert forbidden_tests(code, components, Path("elsewhere.py"))


def test_own_file_may_ask_for_its_own_class() -> None:
    components = concrete_components(sources(*PACKAGES))
    assert forbidden_tests("isinstance(layer, Conv)", components, components["Conv"]) == []
    assert forbidden_tests("isinstance(layer, Conv)", components, components["Adam"]) != []


@pytest.mark.parametrize("code", ["isinstance(optimizer, Flow)", "isinstance(x, (int, Layer))", "Conv(3)", "type(x)"])
def test_harmless_code_is_not_found(code: str) -> None:
    assert forbidden_tests(code, concrete_components(sources(*PACKAGES)), Path("elsewhere.py")) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def imported_by(modules: list[str]) -> set[str]:
    """The top-level modules that a fresh interpreter holds after importing these."""
    code = f"import sys, {', '.join(modules)}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def modules_of(package: str) -> list[str]:
    paths = [path.relative_to(ROOT).with_suffix("") for path in sources(package) if not path.stem.startswith("__main")]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


def test_theory_imports_neither_numpy_nor_torch() -> None:
    loaded = imported_by(modules_of("theory"))
    assert "sympy" in loaded
    assert not loaded & {"numpy", "scipy", "torch", "sklearn", "hypothesis", "cyclopts", "rich"}


def test_numerics_does_not_import_torch() -> None:
    loaded = imported_by(modules_of("numerics"))
    assert "numpy" in loaded
    assert not loaded & {"torch", "sklearn", "hypothesis", "cyclopts", "rich"}


def test_predictor_does_not_import_torch() -> None:
    assert "torch" not in imported_by(["numerics.predictor"])


@pytest.mark.parametrize("module", ["empirical.device", "empirical.data", "empirical.train", "empirical.crosscheck"])
def test_training_modules_import_torch_only_where_they_train(module: str) -> None:
    loaded = imported_by([module])
    assert not loaded & {"torch", "sklearn", "cyclopts", "rich"}


@pytest.mark.skipif(not (ROOT / "empirical" / "strategies.py").exists(), reason="empirical/strategies.py is not there")
def test_strategies_import_without_torch() -> None:
    loaded = imported_by(["empirical.strategies"])
    assert "hypothesis" in loaded
    assert not loaded & {"torch", "cyclopts", "rich"}


@pytest.mark.skipif(not (ROOT / "closedflow" / "__init__.py").exists(), reason="closedflow/__init__.py is not there")
def test_front_door_opens_without_the_heavy_rooms() -> None:
    assert importlib.util.find_spec("closedflow") is not None
    assert not imported_by(["closedflow"]) & {"sympy", "torch", "sklearn", "matplotlib"}
