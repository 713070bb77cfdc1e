"""The command line: ``harken demo · eval · render · scene · bench · doctor``."""

import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from harken import __version__
from harken.arguments import Bench, Demo, Doctor, Eval, RenderCommand, SceneCommand
from harken.errors import HarkenError, HarkenWarning, did_you_mean
from harken.render.recipe import RECIPES

__all__ = ["main"]

COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": Demo,
    "eval": Eval,
    "render": RenderCommand,
    "scene": SceneCommand,
    "bench": Bench,
    "doctor": Doctor,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Args:
        arguments: Words after ``harken``; those of the process by default.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal without "²" shows "?" instead of ending the program with an error.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    warnings.showwarning = _show_warning
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(f"harken {__version__}")
        return
    _check_names(words)
    command = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="harken", description=__doc__, args=words)
    try:
        from harken import commands

        commands.run(command, shlex.join(["harken", *words]))
    except HarkenError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}.")
    except KeyboardInterrupt:
        print("harken: interrupted.", file=sys.stderr)
        raise SystemExit(130) from None


def _check_names(words: Sequence[str]) -> None:
    """Suggest the nearest command or recipe where a name does not exist."""
    for kind, place, choices in (("command", 0, COMMANDS), ("recipe", 1, {**RECIPES, "verify": None})):
        is_asked = place == 0 or words[:1] == ["render"]
        if is_asked and len(words) > place and not words[place].startswith("-") and words[place] not in choices:
            _fail(f"Unknown {kind} {words[place]!r}.{did_you_mean(words[place], choices)} Known: {', '.join(choices)}.")


def _fail(message: str) -> None:
    print(f"harken: {message}", file=sys.stderr)
    raise SystemExit(2) from None


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """Print Harken's warnings as plain lines, and leave out those of libraries, which are for programmers."""
    if issubclass(category, HarkenWarning):
        print(f"harken: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
