"""What to say of a path that leads nowhere."""

import difflib
from pathlib import Path


def path_repair(path: str | Path) -> str:
    """The repair of a path: the nearest name in its folder, if it is not there and one is near.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "setting.toml").touch()
        >>> path_repair(folder / "seting.toml"), path_repair(folder / "setting.toml"), path_repair(folder / "b.npy")
        ("Did you mean 'setting.toml'?", 'Check the path.', 'Check the path.')
    """
    path = Path(path)
    try:
        names = [] if path.exists() else [found.name for found in path.parent.iterdir()]
    except OSError:
        names = []
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else "Check the path."
