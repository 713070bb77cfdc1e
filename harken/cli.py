"""The command line: ``harken demo · train · eval · episodes · models · render · scene · bench · doctor``."""

import dataclasses
import functools
import operator
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from harken import __version__
from harken.agents.training.settings import TrainSettings
from harken.arguments import Bench, Demo, Doctor, Episodes, Eval, Models, RenderCommand, SceneCommand, Train
from harken.configs import load_preset
from harken.errors import ConfigurationError, HarkenError, HarkenWarning, did_you_mean
from harken.render.recipe import RECIPES

__all__ = ["main"]

COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": Demo,
    "train": Train,
    "eval": Eval,
    "episodes": Episodes,
    "models": Models,
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
    try:
        command = _parsed(words)
        from harken import commands

        commands.run(command, shlex.join(["harken", *words]))
    except HarkenError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}.")
    except KeyboardInterrupt:
        print("harken: interrupted.", file=sys.stderr)
        raise SystemExit(130) from None


def _parsed(words: Sequence[str]) -> Any:
    """Return the command that words ask for; what a file of settings holds are the defaults of ``harken train``."""
    kinds: list[Any] = []
    for name, kind in COMMANDS.items():
        is_training = kind is Train and words[:1] == ["train"]
        more: dict[str, Any] = {"default": _training(words[1:])} if is_training else {}
        command: Any = kind
        kinds.append(Annotated[command, tyro.conf.subcommand(name=name, **more)])
    union: Any = functools.reduce(operator.or_, kinds)
    return tyro.cli(union, prog="harken", description=__doc__, args=list(words))


def _training(words: Sequence[str]) -> Train:
    """Return a training with the settings of ``--config``, or with ``--resume`` those of the folder."""
    folder = Path(_value(words, "--out") or Train.out)
    config = _value(words, "--config")
    if "--resume" in words:
        if config is not None:
            raise ConfigurationError("--resume and --config were given; a training goes on with its own settings.")
        if not (folder / "config.yaml").is_file():
            raise ConfigurationError(f"--resume: {str(folder)!r} holds no training (config.yaml); start one without.")
        config = str(folder / "config.yaml")
    if config is None:
        return Train()
    settings = load_preset(TrainSettings, config)
    values = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    return Train(**values, out=folder)


def _value(words: Sequence[str], option: str) -> str | None:
    """Return what follows an option, None where it was not given."""
    for word, after in zip(words, [*words[1:], None], strict=True):
        if word == option:
            return after
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


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
