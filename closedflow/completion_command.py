"""``closedflow completion``: what a shell reads to complete commands and options."""

from pathlib import Path
from typing import Literal

from closedflow.terminal import save

ZSH = """
# The function above has a name of its own: a file of $fpath calls it, and a sourced one announces it.
if [[ ${funcstack[1]} == _closedflow ]]; then
  _cyclopts_closedflow "$@"
else
  compdef _cyclopts_closedflow closedflow
fi
"""


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

    script = app.generate_completion(shell=shell) + (ZSH if shell == "zsh" else "")
    if json is None:
        print(script)
    else:
        save(json, json_module.dumps({"shell": shell, "script": script}))
    return 0
