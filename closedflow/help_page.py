"""How the help is laid out: commands in two columns and without boxes, so that it fits a screen of 24 lines."""

from typing import Any

from cyclopts.help import DefaultFormatter


class HelpPage(DefaultFormatter):
    """Commands as an aligned table; options as cyclopts prints them."""

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        """Prints one panel."""
        if panel.format != "command" or not panel.entries:
            super().__call__(console, options, panel)
            return
        rows = [(", ".join(entry.positive_names), entry.description) for entry in panel.entries]
        width = max((len(name) for name, _ in rows), default=0)
        console.print(f"{panel.title}:", highlight=False, markup=False)
        for name, words in rows:
            text = getattr(words, "primary_renderable", words)
            console.print(f"  {name:<{width}}  {text}", highlight=False, markup=False)
