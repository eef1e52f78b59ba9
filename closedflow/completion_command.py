"""``closedflow completion``: what a shell reads to complete commands and options."""

from pathlib import Path
from typing import Literal

from closedflow.terminal import save


def completion(shell: Literal["bash", "zsh", "fish"], *, json: Path | None = None) -> int:
    """The script that completes commands in your shell.

    bash: closedflow completion bash > ~/.local/share/bash-completion/completions/closedflow

    zsh: closedflow completion zsh > a file named _closedflow in a folder of $fpath

    fish: closedflow completion fish > ~/.config/fish/completions/closedflow.fish

    Args:
        shell: Which shell.
        json: Write shell and script to this file instead.
    """
    import json as json_module

    from closedflow.cli import app

    script = app.generate_completion(shell=shell)
    if json is None:
        print(script)
    else:
        save(json, json_module.dumps({"shell": shell, "script": script}))
    return 0
