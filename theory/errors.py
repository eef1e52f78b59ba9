"""The project's errors: one line that names the argument, what it must be, what it is, and the repair."""


class SettingError(ValueError):
    """A bad argument. The message reads: argument · what it must be · what it is · the repair."""


class ClaimError(SettingError):
    """A claim, a shape or a hypothesis that cannot be read as a statement."""


class DataError(SettingError):
    """A data file that is missing, broken or of an unknown kind, or arrays that cannot be trained on."""
