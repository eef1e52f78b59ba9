"""closedflow hull: what it prints, writes and exits with."""

import csv
import json

import numpy as np
import pytest

from closedflow.cli import run
from numerics.diameter import diameter
from numerics.hulls import distance


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a square of points, queries outside, inside and on its edge, and other data."""
    monkeypatch.chdir(tmp_path)
    np.save("square.npy", np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [3.0, 4.0]]))
    np.save("two.npy", np.array([[4.0, 1.0], [1.0, 1.0]]))
    np.save("line.npy", np.array([[0.0, 0.0], [1.0, 1.0]]))
    np.save("middle.npy", np.array([[0.5, 0.5]]))
    np.save("wide.npy", np.zeros((2, 3)))
    np.savez("many.npz", a=np.zeros((2, 2)), b=np.ones((2, 2)))
    return tmp_path


def hull(*arguments: str) -> int:
    return run(["hull", *arguments])


def test_summary_table_and_json_say_the_same(folder, capsys):
    assert hull("--train", "square.npy", "--test", "two.npy", "--out", "t.csv", "--json", "t.json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "convex: 1 outside (50.0%), 1 inside (50.0%), 0 undecided (0.0%)" in out
    assert "diameter of the points: 5\n" in out
    assert "100% 0.2" in out
    assert "square.npy, 1×2, as they are (4 in all)" in out
    with open("t.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with open("t.json", encoding="utf-8") as file:
        table = json.load(file)
    assert [row["status"] for row in rows] == [row["status"] for row in table["queries"]] == ["outside", "inside"]
    assert float(rows[0]["upper"]) == table["queries"][0]["upper"]
    assert abs(float(rows[0]["upper"]) - 1) < 1e-12
    assert abs(float(rows[0]["over_diameter"]) - 0.2) < 1e-12
    assert table["counts"] == {"outside": 1, "inside": 1, "undecided": 0}
    assert table["diameter"] == 5


@pytest.mark.parametrize("kind", ["span", "affine"])
def test_flat_hulls_print_their_rank_decision(folder, capsys, kind):
    assert hull("--train", "square.npy", "--test", "two.npy", "--kind", kind) == 0
    out = capsys.readouterr().out
    assert f"{kind}: 0 outside (0.0%), 2 inside (100.0%)" in out
    assert "above rounding" in out


def test_what_is_undecided_exits_with_3_and_exactly_with_0(folder, capsys):
    assert hull("--train", "line.npy", "--test", "middle.npy") == 3
    assert "undecided: the query is within rounding" in capsys.readouterr().out
    assert hull("--train", "line.npy", "--test", "middle.npy", "--exact") == 0
    assert "convex (decided exactly): 0 outside (0.0%), 1 inside" in capsys.readouterr().out


def test_examples_choose_the_points(folder, capsys):
    assert hull("--train", "square.npy", "--test", "two.npy", "--examples", "0,1") == 0
    assert "convex: 2 outside" in capsys.readouterr().out


def test_histogram_is_drawn(folder):
    pytest.importorskip("matplotlib")
    assert hull("--train", "square.npy", "--test", "two.npy", "--plot", "h.png") == 0
    assert (folder / "h.png").read_bytes()[:4] == b"\x89PNG"


def test_one_training_image_has_no_diameter(folder, capsys):
    np.save("one.npy", np.array([[0.0, 0.0]]))
    assert hull("--train", "one.npy", "--test", "two.npy", "--json", "t.json") == 0
    assert "diameter of the points: 0" in capsys.readouterr().out
    with open("t.json", encoding="utf-8") as file:
        assert json.load(file)["distance_over_diameter"]["50%"] == "inf"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--train", "square.npy", "--test", "wide.npy"], "test images must have 2 pixels"),
        (["--train", "absent.npy", "--test", "two.npy"], "readable file"),
        (["--train", "many.npz", "--test", "two.npy"], "key must be"),
        (["--train", "square.npy", "--test", "two.npy", "--kind", "conic"], "conic"),
        (["--train", "square.npy", "--test", "two.npy", "--out", "absent/t.csv"], "can be written"),
        (["--train", "square.npy", "--test", "two.npy", "--plot", "noending"], "picture"),
        (["--train", "square.npy", "--test", "two.npy", "--device", "abacus"], "device"),
        (["--train", "square.npy", "--test", "two.npy", "--examples", "9"], "examples"),
        (["--train", "square.npy"], "--test"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(folder, capsys, arguments, says):
    assert hull(*arguments) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert err.count("\n") == 1
    assert out == ""


def test_a_picture_that_cannot_be_drawn_leaves_no_table(folder):
    assert hull("--train", "square.npy", "--test", "two.npy", "--out", "t.csv", "--plot", "absent/h.png") == 2
    assert not (folder / "t.csv").exists()


def test_diameter_of_few_points_is_that_of_all_pairs_and_of_many_a_lower_bound(monkeypatch):
    points = np.random.default_rng(0).standard_normal((50, 3)) + 100
    pairs = np.linalg.norm(points[:, None] - points, axis=2).max()
    assert diameter(points)[1]
    assert abs(diameter(points)[0] / pairs - 1) < 1e-12
    monkeypatch.setattr("numerics.diameter.ALL_PAIRS", 10)
    swept, whole = diameter(points)
    assert not whole
    assert 0.8 * pairs <= swept <= pairs * (1 + 1e-12)


def test_the_table_is_csv_and_says_so(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.eye(4))
    data = ["--train", str(tmp_path / "a.npy"), "--test", str(tmp_path / "a.npy")]
    assert run(["hull", *data, "--out", str(tmp_path / "h.npz")]) == 2
    assert "--out must be a .csv file" in capsys.readouterr().err


def test_whole_pixels_are_measured_as_they_were_saved(folder, capsys):
    """A midpoint of two images of bytes is inside; divided by 255 it would be rounded off their segment."""
    images = np.random.default_rng(0).integers(0, 128, (20, 3, 3)).astype(np.uint8) * 2
    np.save("bytes.npy", images)
    np.save("between.npy", ((images[:-1].astype(int) + images[1:]) // 2).astype(np.uint8))
    np.save("outside.npy", np.full((1, 3, 3), 255, dtype=np.uint8))
    assert hull("--train", "bytes.npy", "--test", "between.npy", "--exact") == 0
    assert "0 outside (0.0%), 19 inside (100.0%)" in capsys.readouterr().out
    assert hull("--train", "bytes.npy", "--test", "outside.npy", "--json", "t.json") == 0
    with open("t.json", encoding="utf-8") as file:
        table = json.load(file)
    (row,), unit = table["queries"], images.reshape(20, 9) / 255  # lengths are those of pixels in [0, 1]
    assert row["upper"] == pytest.approx(float(distance(np.ones(9), unit).upper), rel=1e-9)
    assert table["diameter"] == pytest.approx(diameter(unit)[0], rel=1e-9)
    assert row["over_diameter"] == pytest.approx(row["upper"] / table["diameter"], rel=1e-12)


def test_whole_pixels_of_two_types_are_refused_rather_than_compared(folder, capsys):
    np.save("bytes.npy", np.full((3, 2, 2), 200, dtype=np.uint8))
    np.save("wide.npy", np.full((3, 2, 2), 200))
    for train, test in (("bytes", "wide"), ("wide", "bytes")):
        assert hull("--train", f"{train}.npy", "--test", f"{test}.npy") == 2
        assert "must be of one scale" in capsys.readouterr().err
    np.save("small.npy", np.full((3, 2, 2), 0.5))
    assert hull("--train", "bytes.npy", "--test", "small.npy") == 0


@pytest.mark.parametrize("option", ["--out", "--plot", "--json"])
def test_what_is_written_never_takes_the_place_of_what_was_read(folder, capsys, option):
    before = (folder / "square.npy").read_bytes()
    assert hull("--train", "square.npy", "--test", "two.npy", option, "./square.npy") == 2
    assert "must be another file than the images" in capsys.readouterr().err
    assert (folder / "square.npy").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "t.csv", "--json", "./t.csv"], "--json must be another file than --out"),
        (["--plot", "t.png", "--json", "t.png"], "--json must be another file than --plot"),
        (["--out", ""], "Call it table.csv"),
        (["--plot", "absent/h.png"], "the output must be a file"),
    ],
)
def test_outputs_that_cannot_be_are_one_line(folder, capsys, arguments, says):
    assert hull("--train", "square.npy", "--test", "two.npy", *arguments) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (folder / "t.csv").exists()


def test_a_link_that_leads_to_itself_is_replaced(folder):
    (folder / "t.csv").symlink_to("t.csv")
    assert hull("--train", "square.npy", "--test", "two.npy", "--out", "t.csv") == 0
    assert (folder / "t.csv").read_text(encoding="utf-8").startswith("index,status")


def test_whole_pixels_beyond_the_floats_are_refused(folder, capsys):
    """2^53 + 1 is no float: the first image would be that of the second."""
    np.save("large.npy", np.array([[2**53 + 1, 0], [2**53, 0]]))
    for exact in ((), ("--exact",)):
        assert hull("--train", "large.npy", "--test", "large.npy", *exact) == 2
        assert "at most 2^53" in capsys.readouterr().err


def test_diameter_of_the_largest_floats():
    assert diameter(np.array([[1.5e308], [1.6e308], [1.7e308]]))[0] == pytest.approx(2e307, rel=1e-12)
    assert diameter(np.array([[-1e308], [1e308]])) == (np.inf, True)
