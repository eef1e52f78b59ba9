"""Data files: what is read, what is done to it, and one clear line for everything else."""

import gzip
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from empirical.data import Images, digits, read_array, read_images
from theory.errors import DataError, SettingError

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist10k.npz"
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 4), dtype=np.uint8)


def idx(array: np.ndarray, code: int) -> bytes:
    """The IDX format: two zeros, the type, the number of axes, big-endian sizes, big-endian data."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def saved(folder: Path, array: np.ndarray, name: str = "images.npy") -> Path:
    path = folder / name
    np.save(path, array, allow_pickle=array.dtype == object)
    return path


def assert_one_clear_line(error: pytest.ExceptionInfo, *words: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    assert message.index(" must be ") < message.index(", but ")
    assert message.endswith((".", "…"))
    for word in words:
        assert word in message


def test_npy_file_is_read(tmp_path: Path) -> None:
    images = read_images(saved(tmp_path, PIXELS))
    assert np.array_equal(images.values, PIXELS[:, None] / 255.0)
    assert images.values.dtype == np.float64
    assert images.source == "images.npy, 1×4×4, divided by 255"


def test_gz_of_any_kind_is_read(tmp_path: Path) -> None:
    plain = saved(tmp_path, PIXELS)
    np.savez(tmp_path / "plain.npz", X=PIXELS)
    for raw in (plain.read_bytes(), (tmp_path / "plain.npz").read_bytes(), idx(PIXELS, 8)):
        path = tmp_path / "file.gz"
        path.write_bytes(gzip.compress(raw))
        assert np.array_equal(read_images(path).values, PIXELS[:, None] / 255.0)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_one_array_needs_no_key(tmp_path: Path, save) -> None:
    save(tmp_path / "a.npz", anything=PIXELS)
    images = read_images(tmp_path / "a.npz")
    assert np.array_equal(images.values, PIXELS[:, None] / 255.0)
    assert images.source.startswith("a.npz[anything], ")


@pytest.mark.parametrize("usual", ["X", "x", "images", "inputs"])
def test_npz_takes_the_usual_name_unless_a_key_is_given(tmp_path: Path, usual: str) -> None:
    np.savez(tmp_path / "a.npz", **{"y": PIXELS[:1], usual: PIXELS})
    assert len(read_images(tmp_path / "a.npz").values) == 3
    assert len(read_images(tmp_path / "a.npz", key="y").values) == 1


@pytest.mark.parametrize("key", [None, "c", "X"])
def test_npz_without_the_array_names_those_it_has(tmp_path: Path, key: str | None) -> None:
    np.savez(tmp_path / "a.npz", first=PIXELS, second=PIXELS)
    with pytest.raises(DataError, match=r"^key must be one of the arrays of a\.npz, first, second, but") as error:
        read_images(tmp_path / "a.npz", key=key)
    assert_one_clear_line(error, "--key ", "none was given" if key is None else repr(key))


def test_zip_that_holds_no_array_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "no array")
    for key in (None, "readme.txt"):
        with pytest.raises(DataError, match=r"^key must be one of the arrays of a\.npz, \(none\)"):
            read_images(tmp_path / "a.npz", key=key)


@pytest.mark.parametrize(
    ("code", "dtype", "divisor"),
    [
        (8, "uint8", 255),
        (9, "int8", 127),
        (11, "int16", 32767),
        (12, "int32", 1),
        (13, "float32", 1),
        (14, "float64", 1),
    ],
)
def test_idx_types_are_read_in_their_byte_order(tmp_path: Path, code: int, dtype: str, divisor: int) -> None:
    array = np.arange(1, 25).reshape(2, 3, 4).astype(dtype) * np.array(5, dtype)
    path = tmp_path / "images-idx3"
    path.write_bytes(idx(array, code))
    raw, _ = read_array(path)
    assert raw.dtype == dtype
    assert np.array_equal(raw, array)
    assert np.array_equal(read_images(path).values, array[:, None] / divisor)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 4, 5), (3, 1, 4, 5)),
        ((3, 2, 4, 5), (3, 2, 4, 5)),
        ((3, 2, 4, 5, 6), (3, 2, 4, 5, 6)),
        ((3, 16), (3, 1, 4, 4)),
        ((3, 1), (3, 1, 1, 1)),
        ((3, 12), (3, 1, 12)),  # no square: a signal
    ],
)
def test_image_shape_is_inferred(tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    array = np.arange(float(np.prod(shape))).reshape(shape)
    images = read_images(saved(tmp_path, array))
    assert images.values.shape == expected
    assert np.array_equal(images.flat, array.reshape(3, -1))


@pytest.mark.parametrize("image_shape", [(1, 3, 4), (3, 4), (2, 2, 3), [1, 12]])
def test_image_shape_can_be_given(tmp_path: Path, image_shape) -> None:
    images = read_images(saved(tmp_path, np.arange(24.0).reshape(2, 12)), image_shape=image_shape)
    assert images.values.shape == (2, *image_shape)
    assert np.array_equal(images.values.ravel(), np.arange(24.0))


@pytest.mark.parametrize("image_shape", [(1, 3, 5), (12,), (), (-3, -4), (0, 12), (-1, 12)])
def test_image_shape_that_does_not_fit_is_refused(tmp_path: Path, image_shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"^image_shape must be ") as error:
        read_images(saved(tmp_path, np.ones((2, 12))), image_shape=image_shape)
    assert_one_clear_line(error, "12", str(image_shape))


@pytest.mark.parametrize(
    ("dtype", "divisor"),
    [
        *((dtype, float(np.iinfo(dtype).max)) for dtype in ("uint8", "int8", "uint16", "int16")),
        *((dtype, 1.0) for dtype in ("int32", "uint32", "int64", "uint64", "float16", "float32", "float64", "bool")),
    ],
)
def test_small_integers_are_divided_by_their_maximum_and_nothing_else_is(
    tmp_path: Path, dtype: str, divisor: float
) -> None:
    array = np.array([[0, 1, 1, 0]]).astype(dtype) * np.array(1 if dtype == "bool" else 100, dtype)
    images = read_images(saved(tmp_path, array))
    assert np.array_equal(images.flat, array.astype(np.float64) / divisor)
    assert images.source.endswith("as they are" if divisor == 1 else f"divided by {divisor:.0f}")


def test_full_range_of_a_byte_becomes_the_unit_interval(tmp_path: Path) -> None:
    assert read_images(saved(tmp_path, np.array([[0, 255, 0, 255]], np.uint8))).flat.tolist() == [[0, 1, 0, 1]]


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_byte_order_of_an_npy_file_does_not_matter(tmp_path: Path, byteorder: str) -> None:
    array = np.array([[1, 2, 3, 32767]], dtype=f"{byteorder}i2")
    assert read_images(saved(tmp_path, array)).flat[0, 3] == 1.0


WHOLE = ("npy", "npz", "gz", "idx")
BREAKS = {
    "cut in its data": (WHOLE, lambda raw: raw[:-5]),
    "cut in the middle": (WHOLE, lambda raw: raw[: len(raw) // 2]),
    "cut in its header": (WHOLE, lambda raw: raw[:9]),
    "corrupt": (("npz", "gz"), lambda raw: raw[:60] + bytes([raw[60] ^ 255]) + raw[61:]),
    "too long": (("idx",), lambda raw: raw + b"\0"),
}


def whole_file(folder: Path, kind: str) -> bytes:
    np.savez_compressed(folder / "whole.npz", X=PIXELS)
    npy = saved(folder, PIXELS, "whole.npy").read_bytes()
    return {
        "npy": npy,
        "npz": (folder / "whole.npz").read_bytes(),
        "gz": gzip.compress(npy, mtime=0),
        "idx": idx(PIXELS, 8),
    }[kind]


@pytest.mark.parametrize(("fault", "kind"), [(fault, kind) for fault, (kinds, _) in BREAKS.items() for kind in kinds])
def test_broken_file_is_one_clear_line(tmp_path: Path, fault: str, kind: str) -> None:
    path = tmp_path / "broken"
    path.write_bytes(whole_file(tmp_path, kind))
    read_images(path)
    path.write_bytes(BREAKS[fault][1](whole_file(tmp_path, kind)))
    with pytest.raises(DataError, match=r"^data must be a whole \.npy, \.npz or IDX file, but ") as error:
        read_images(path)
    assert_one_clear_line(error, str(path), "write it again")
    if kind == "idx" and "header" not in fault:
        assert "its header promises 48 bytes and " in str(error.value)


@pytest.mark.parametrize("fault", ["more than memory", "no array", "encrypted"])
def test_a_file_that_numpy_cannot_take_is_one_clear_line(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "broken"
    raw = saved(tmp_path, PIXELS, "whole.npy").read_bytes()
    if fault == "more than memory":
        header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (9000000000000, 2, 2), }"
        path.write_bytes(raw[:10] + header.ljust(117) + b"\n" + raw[128:])
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.npy", raw if fault == "encrypted" else b"text")
        if fault == "encrypted":
            whole = bytearray(path.read_bytes())
            whole[6] |= 1
            whole[whole.index(b"PK\1\2") + 8] |= 1
            path.write_bytes(bytes(whole))
    with pytest.raises(DataError, match=r"^data must be a whole \.npy, \.npz or IDX file, but ") as error:
        read_images(path)
    assert_one_clear_line(error, str(path), "write it again")


@pytest.mark.parametrize(
    "array", [np.array([[2**53 + 1, 0]]), np.array([[2**63, 0]], np.uint64), np.array([[0, -(2**62)]])]
)
def test_pixels_that_floats_would_round_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"at most 2\^53, but .* reaches -?[0-9]+\. Rescale them\.$"):
        read_images(saved(tmp_path, array))
    assert read_images(saved(tmp_path, np.array([[2**53, -(2**53)]]))).flat.tolist() == [[2.0**53, -(2.0**53)]]


@pytest.mark.parametrize("name", ["pickled.npy", "pickled.npz"])
def test_pickled_objects_are_never_loaded(tmp_path: Path, name: str) -> None:
    objects = np.array([{}, 1], dtype=object)
    (np.save if name.endswith("npy") else np.savez)(tmp_path / name, objects)
    with pytest.raises(DataError, match=r"^data must be a whole .* Object arrays cannot be loaded"):
        read_images(tmp_path / name)


@pytest.mark.parametrize("raw", [b"", b"\x89PNG\r\n", b"1,2,3\n", b"\0\0\x07\x01\0\0\0\0", b"\0\0"])
def test_unknown_kind_of_file_is_one_clear_line(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "unknown"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"^data must be a \.npy, \.npz or IDX file or a \.gz of it, but ") as error:
        read_images(path)
    assert_one_clear_line(error, repr(raw[:4]))


def test_missing_file_and_folder_are_one_clear_line(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "absent.npy", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(DataError, match=r"^data must be a readable file, but ") as error:
            read_images(path)
        assert_one_clear_line(error, str(path), reason)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((2, 4), complex), ["complex128"]),
        (np.array([["a", "b"]]), ["<U1"]),
        (np.zeros((1, 2), "datetime64[s]"), ["datetime64"]),
        (np.ones(4), ["(4,)"]),
        (np.array(3.0), ["()"]),
        (np.ones((0, 4)), ["(0, 4)"]),
        (np.ones((4, 0)), ["(4, 0)"]),
    ],
    ids=lambda value: f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else "",
)
def test_array_that_holds_no_real_images_is_refused(tmp_path: Path, array: np.ndarray, words: list[str]) -> None:
    with pytest.raises(
        DataError, match=r"^data must be real images \(N, …\), at least one, but images\.npy is "
    ) as error:
        read_images(saved(tmp_path, array))
    assert_one_clear_line(error, *words)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    array = np.ones((2, 4))
    array[1, 2] = bad
    with pytest.raises(DataError, match=r"^data must be finite, but images\.npy holds NaN or infinite pixels\."):
        read_images(saved(tmp_path, array))


def test_examples_are_taken_in_the_order_asked_for() -> None:
    images = Images(np.arange(10.0).reshape(10, 1, 1, 1), "ten")
    assert images.take([7, 0, 7]).values.ravel().tolist() == [7, 0, 7]
    assert images.take([7, 0, 7]).source == "ten, example 7,0,7"
    assert images.take(range(8)).source == "ten, example 8 of them"


@pytest.mark.parametrize("examples", [[], [10], [-1], [0, 99]])
def test_examples_out_of_range_are_refused(examples: list[int]) -> None:
    images = Images(np.zeros((10, 1, 1, 1)), "ten")
    with pytest.raises(DataError, match=r"^examples must be indices from 0 to 9, at least one, but ") as error:
        images.take(examples)
    assert_one_clear_line(error, str(examples))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_in_the_last_axis_are_refused_unless_the_shape_is_given(tmp_path: Path, channels: int) -> None:
    path = saved(tmp_path, np.ones((2, 8, 6, channels)))
    with pytest.raises(DataError, match=r"looks like \(N, H, W, C\)") as error:
        read_images(path)
    assert_one_clear_line(error, f"(2, 8, 6, {channels})", "transpose(0, 3, 1, 2)", f"image_shape 8,6,{channels}")
    assert read_images(path, image_shape=(8, 6, channels)).values.shape == (2, 8, 6, channels)
    assert read_images(saved(tmp_path, np.ones((2, 3, 6, channels)))).values.shape == (2, 3, 6, channels)


def test_digits_are_real_images_in_the_unit_interval() -> None:
    values = digits().values
    assert values.shape == (1797, 1, 8, 8)
    assert (values.min(), values.max()) == (0, 1)
    assert len(np.unique(values)) == 17


def test_data_errors_are_value_errors() -> None:
    assert issubclass(DataError, SettingError)
    assert issubclass(DataError, ValueError)


@pytest.mark.skipif(not MNIST.exists(), reason="no ../shared/data/mnist10k.npz beside the repository")
def test_mnist_is_read_as_square_images() -> None:
    images = read_images(MNIST)
    assert images.values.shape == (10000, 1, 28, 28)
    assert (images.values.min(), images.values.max()) == (0, 1)
    assert images.source == "mnist10k.npz[X], 1×28×28, divided by 255"
    with np.load(MNIST) as archive:
        assert np.array_equal(images.take([5]).flat[0], archive["X"][5] / 255.0)
        assert np.array_equal(read_array(MNIST, key="y")[0], archive["y"])
    # A stroke, not noise: neighbouring pixels are alike, as they are only in the right row order.
    gaps = [np.abs(np.diff(images.values[:200, 0], axis=axis)).mean() for axis in (1, 2)]
    assert max(gaps) < images.values[:200].std() / 2
