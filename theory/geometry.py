"""Where the taps of a convolution read: one axis at a time, in whole numbers."""

from dataclasses import dataclass
from typing import Any

from theory.errors import SettingError

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a convolution.

    Output position ``p`` and tap ``k`` read the input at ``p·stride + k·dilation - left``; what lies outside the
    image is filled by the padding mode. ``left`` and ``right`` are the padding in pixels.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    left: int
    right: int
    mode: str

    def __post_init__(self) -> None:
        if self.positions < 1:
            message = (
                f"kernel_size must span at most the padded image, {self.size + self.left + self.right} pixels, but "
                f"{self.kernel} taps with dilation {self.dilation} span {self.span}. Use a smaller kernel or more padding."
            )
            raise SettingError(message)
        # The same limits as torch's own padding: reflection needs a pixel beyond the edge, one turn is enough for a circle.
        limit = {"reflect": self.size - 1, "circular": self.size}.get(self.mode)
        if limit is not None and max(self.left, self.right) > limit:
            message = (
                f"padding must be at most {limit} with padding_mode {self.mode!r} on {self.size} pixels, but it is "
                f"{max(self.left, self.right)}. Use a smaller padding or kernel, or padding_mode='zeros'."
            )
            raise SettingError(message)

    @property
    def span(self) -> int:
        """Pixels from the first tap to the last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def positions(self) -> int:
        """Number of output positions."""
        return (self.size + self.left + self.right - self.span) // self.stride + 1

    @property
    def crop(self) -> dict[str, Any]:
        """Where the centre taps of an odd kernel read: pad, then take one pixel per stride from ``first`` on."""
        first = self.dilation * (self.kernel // 2)
        last = first + self.stride * (self.positions - 1)
        return {"pad": (self.left, self.right), "mode": self.mode, "take": (first, last + 1, self.stride)}

    def sources(self) -> list[int | None]:
        """The input pixel that each (position, tap) reads, taps fastest; ``None`` reads a padded zero.

        Example:
            >>> Axis(size=3, kernel=3, stride=1, dilation=1, left=1, right=1, mode="zeros").sources()
            [None, 0, 1, 0, 1, 2, 1, 2, None]
            >>> Axis(size=3, kernel=3, stride=2, dilation=1, left=1, right=1, mode="reflect").sources()
            [1, 0, 1, 1, 2, 1]
        """
        reads = (
            position * self.stride + tap * self.dilation - self.left
            for position in range(self.positions)
            for tap in range(self.kernel)
        )
        return [self._source(read) for read in reads]

    def _source(self, read: int) -> int | None:
        if 0 <= read < self.size:
            return read
        if self.mode == "zeros":
            return None
        if self.mode == "replicate":
            return 0 if read < 0 else self.size - 1
        if self.mode == "circular":
            return read % self.size
        return -read if read < 0 else 2 * (self.size - 1) - read
