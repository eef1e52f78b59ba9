"""Files are written whole or not at all, whatever interrupts the writing."""

import os
from pathlib import Path

import numpy as np
import pytest

from numerics.files import whole_file
from theory.errors import DataError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted(path, error: BaseException) -> None:
    """Writes half of a file, then fails."""
    with whole_file(path) as file:
        file.write(b"half")
        raise error


def test_a_file_appears_when_everything_is_in_it(tmp_path):
    target = tmp_path / "a.bin"
    with whole_file(target) as file:
        file.write(b"first half")
        file.flush()
        assert not target.exists()
        file.write(b", second half")
    assert target.read_bytes() == b"first half, second half"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt(), MemoryError(), GeneratorExit()])
def test_an_error_on_the_way_leaves_nothing_and_is_passed_on(tmp_path, error):
    with pytest.raises(type(error)):
        interrupted(tmp_path / "a.bin", error)
    assert names(tmp_path) == []


def test_an_error_on_the_way_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        interrupted(target, RuntimeError())
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_an_old_file_is_replaced_whole(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"a much longer old text")
    with whole_file(str(target)) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("target", ["none/a.bin", "file/a.bin", "folder"])
def test_a_place_that_cannot_be_written_is_one_line_that_names_it(tmp_path, target):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError) as error, whole_file(tmp_path / target):
        pass
    message = str(error.value)
    assert "\n" not in message
    assert str(tmp_path / target) in message
    assert " must " in message
    assert message.endswith("Choose another path.")
    assert names(tmp_path) == ["file", "folder"]


def test_a_full_disk_is_a_data_error_and_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="No space left"):
        interrupted(tmp_path / "a.npz", OSError(28, os.strerror(28)))
    assert names(tmp_path) == []


def test_two_writers_do_not_meet(tmp_path):
    """The last to finish wins; neither reads the other's half."""
    target = tmp_path / "a.bin"
    with whole_file(target) as first, whole_file(target) as second:
        first.write(b"first")
        second.write(b"second")
    assert target.read_bytes() == b"first"
    assert names(tmp_path) == ["a.bin"]


def test_an_archive_is_written_and_read_without_pickle(tmp_path):
    with whole_file(tmp_path / "a.npz") as file:
        np.savez(file, x=np.arange(3.0), text=np.array("π"))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert archive["x"].tolist() == [0, 1, 2]
        assert str(archive["text"]) == "π"


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    """As /dev/null would be replaced by a file, by whoever may do so."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with whole_file(pipe) as file:
            file.write(b"all of it")
        assert os.read(reader, 100) == b"all of it"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert names(tmp_path) == ["pipe"]
