"""Sources of images: resized as an integral would, and hashed by what is in them."""

import os

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from empirical.data import Images, digits
from empirical.sources import Digits, ImageFile, Source, resized
from theory.errors import DataError, SettingError


def test_enlarging_agrees_with_torch(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    images = Digits().images().values[:3]
    for size in (8, 13, 28):
        theirs = torch.nn.functional.interpolate(torch.tensor(images), size=(size, size), mode="bilinear")
        # Sums of at most four products: a few roundings of numbers up to 1; at the border torch repeats the edge, as our rows do.
        np.testing.assert_allclose(resized(Images(images, ""), size).values, theirs.numpy(), atol=1e-14)


def test_shrinking_averages_first_as_torch_does_with_antialias():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    images = Digits().images().values[:3]
    for size in (1, 3, 4, 5):
        theirs = torch.nn.functional.interpolate(
            torch.tensor(images), size=(size, size), mode="bilinear", antialias=True
        )
        np.testing.assert_allclose(resized(Images(images, ""), size).values, theirs.numpy(), atol=1e-14)


def test_a_constant_image_stays_constant_and_pictures_that_are_not_square_are_refused():
    flat = Images(np.full((1, 2, 6, 6), 0.7), "flat")
    np.testing.assert_allclose(resized(flat, 11).values, 0.7, rtol=1e-15)
    assert resized(flat, None) is flat
    assert resized(flat, 6) is flat
    for shape in ((1, 1, 4, 5), (1, 1, 4)):
        with pytest.raises(DataError, match="square pictures to be resized, but they are 4"):
            resized(Images(np.zeros(shape), ""), 3)


def test_the_fingerprint_is_of_the_numbers_and_follows_a_changed_file(tmp_path):
    images = np.arange(32.0).reshape(2, 1, 4, 4)
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, images)
    one, two = (ImageFile(str(tmp_path / name)) for name in ("a.npy", "b.npy"))
    before = one.fingerprint()
    assert before == two.fingerprint()
    images[0, 0, 0, 0] += 1
    np.save(tmp_path / "a.npy", images)
    os.utime(tmp_path / "a.npy", ns=(1, 1))
    assert one.fingerprint() != before
    assert Digits().fingerprint() not in (before, Digits(size=4).fingerprint())


def test_a_file_is_read_once_for_many_fingerprints(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.ones((2, 4, 4)))
    reads = []
    monkeypatch.setattr("empirical.sources.read_images", lambda *a, **k: reads.append(a) or Images(np.ones((1, 1)), ""))
    for _ in range(5):
        ImageFile(str(tmp_path / "a.npy")).fingerprint()
    assert len(reads) == 1


def test_the_same_numbers_in_another_shape_are_other_images(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 16)))
    path = str(tmp_path / "a.npy")
    assert ImageFile(path).fingerprint() != ImageFile(path, image_shape=(4, 2, 2)).fingerprint()


def test_a_source_goes_through_its_table_and_bad_ones_are_refused(tmp_path):
    source = ImageFile("x.npz", key="X", image_shape=(1, 2, 2), size=3)
    assert Source.from_table(source.to_table()) == source
    with pytest.raises(DataError, match=r"readable file, but .*x\.npz"):
        source.fingerprint()
    with pytest.raises(SettingError, match="size must be a number at least 1"):
        Digits(size=0)
    with pytest.raises(SettingError, match="size must be a whole number"):
        ImageFile("x", size=2.5)


@pytest.mark.parametrize("size", [5, 12, 14, 20])
def test_the_pixels_and_their_hash_do_not_depend_on_the_number_of_threads(size):
    """A worker has one thread of BLAS and its parent may have more: the same bits, or no run is found again."""
    images = digits()
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(resized(images, size).values)
    np.testing.assert_array_equal(*found)
