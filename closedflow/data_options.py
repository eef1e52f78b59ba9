"""The options of every command that reads images."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from closedflow.terminal import whole_numbers

if TYPE_CHECKING:
    from empirical.data import Images


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


AS_THEY_ARE = Data()
"""No option given."""
