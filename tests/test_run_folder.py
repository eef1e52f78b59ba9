"""A run's folder is whole or not there, and says so when it is broken or of a newer version."""

import json
import os

import numpy as np
import pytest

from empirical.run_folder import FORMAT, NewerFormatError, RunFolder, read_run
from theory.errors import DataError

RUN = RunFolder(
    'kind = "x"\n', {"mse": 0.1, "words": ["ä", None]}, {"file": np.eye(2), "e": np.zeros((0, 3), np.float32)}
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read_back_bit_for_bit(tmp_path):
    RUN.write(tmp_path / "run")
    found = read_run(tmp_path / "run")
    assert (found.setting, found.result) == (RUN.setting, RUN.result)
    assert list(found.arrays) == list(RUN.arrays)
    for name, array in RUN.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("where", ["empirical.run_folder.json.dumps", "numpy.lib.format.write_array", "os.rename"])
def test_whatever_interrupts_the_writing_leaves_nothing(tmp_path, monkeypatch, where, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(where, fail)
    expected = DataError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        RUN.write(tmp_path / "run")
    assert names(tmp_path) == []
    if expected is DataError:
        assert "No space left on device. Choose another path." in str(caught.value)


@pytest.mark.parametrize("run", [RunFolder("", {"a": float("nan")}), RunFolder("", {}, {"a": np.array([{}])})])
def test_what_json_and_npz_cannot_hold_is_refused_and_leaves_nothing(tmp_path, run):
    with pytest.raises(ValueError, match=r"JSON|allow_pickle"):
        run.write(tmp_path / "run")
    assert names(tmp_path) == []


def test_the_first_of_two_writers_wins(tmp_path):
    RUN.write(tmp_path / "run")
    RunFolder("other").write(tmp_path / "run")
    assert read_run(tmp_path / "run").setting == RUN.setting
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize("name", ["setting.toml", "result.json", "arrays.npz"])
@pytest.mark.parametrize("how", ["missing", "empty", "half"])
def test_a_folder_with_a_broken_file_is_refused(tmp_path, name, how):
    RUN.write(tmp_path / "run")
    path = tmp_path / "run" / name
    content = path.read_bytes()
    path.unlink()
    if how != "missing":
        path.write_bytes(content[: len(content) // 2] if how == "half" else b"")
    if name == "setting.toml" and how != "missing":
        assert read_run(tmp_path / "run").setting != RUN.setting  # any text is one; who reads it as TOML sees
        return
    with pytest.raises(DataError, match=r"does not: .* Delete it and run again"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize("place", [60, 200, -10])
def test_a_flipped_byte_in_the_arrays_is_seen(tmp_path, place):
    RunFolder("", {}, {"a": np.random.default_rng(0).normal(size=50)}).write(tmp_path / "run")
    path = tmp_path / "run" / "arrays.npz"
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="Delete it and run again"):
        read_run(tmp_path / "run")


def test_a_newer_format_is_told_apart_from_a_broken_one_even_if_its_files_have_other_names(tmp_path):
    RUN.write(tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text(json.dumps({"format": FORMAT + 1}))
    os.remove(tmp_path / "run" / "arrays.npz")
    with pytest.raises(
        NewerFormatError, match=f"at most {FORMAT}, but it has {FORMAT + 1}. Use the version that wrote"
    ):
        read_run(tmp_path / "run")


@pytest.mark.parametrize("result", ['{"format": 0}', '{"format": "one"}', "{}", "[]", "3"])
def test_another_format_that_is_not_newer_is_broken(tmp_path, result):
    RUN.write(tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text(result)
    with pytest.raises(DataError) as caught:
        read_run(tmp_path / "run")
    assert not isinstance(caught.value, NewerFormatError)
