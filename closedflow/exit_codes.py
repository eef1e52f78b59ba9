"""What the command line's exit code says; 0 is that everything holds or was not run."""

REFUTED = 1
BAD_INPUT = 2
UNDECIDED = 3
INTERNAL = 70
INTERRUPTED = 130
