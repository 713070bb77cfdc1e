"""Write one page of the library's reference per folder of the package, from the modules' own __all__."""

import importlib
import inspect
import pkgutil
import re
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from sphinx.ext.autodoc.mock import mock

import harken

OPTIONAL = (
    *("torch", "stable_baselines3", "sb3_contrib", "safetensors", "rlr_audio_propagation", "pyarrow", "ray"),
    *("habitat", "gym", "quaternion", "pettingzoo"),
)
"""Packages that the library does without."""

ABSENT = [name for name in OPTIONAL if find_spec(name) is None]
"""Those that are not installed here."""

if find_spec("tree") is None:
    ABSENT.append("ray.rllib")  # which needs more than ray

FOLDERS = (
    ["scene", "vision", "sound", "acoustics", "metrics", "sim", "tasks", "envs", "agents", "eval", "render"]
    + ["integrations"]
    + ["configs", "raytracing", "errors", "checks", "files", "registration", "cli"]
)  # fmt: skip
"""The order of the pages: what a reader looks for first comes first."""


def write_pages(folder: Path) -> None:
    """Write ``harken.<folder>.rst`` for every folder that has public names, and an index of them."""
    folder.mkdir(exist_ok=True)
    sections: dict[str, list[str]] = {}
    for module in public_modules():
        names = [name for name in getattr(module, "__all__", ()) if defines(module, name)]
        if names:
            page = ".".join(module.__name__.split(".")[:2])
            sections.setdefault(page, []).append(section(module, names))
    for old in folder.glob("*.rst"):
        if old.stem not in (*sections, "index"):
            old.unlink()
    for page, texts in sections.items():
        write(folder / f"{page}.rst", "\n".join([heading(page, "="), *texts]))
    known = [f"harken.{name}" for name in FOLDERS]
    order = [*(page for page in known if page in sections), *sorted(set(sections) - set(known))]
    contents = ".. toctree::\n   :maxdepth: 1\n\n" + "".join(f"   {page}\n" for page in order)
    write(folder / "index.rst", heading("Library", "=") + contents)


def public_modules() -> list[ModuleType]:
    """Return all modules without a leading underscore in their names, a package before what it holds."""
    # Modules of optional packages have their page too where those are not installed, as in a fresh clone.
    with mock(ABSENT):
        names = [module.name for module in pkgutil.walk_packages(harken.__path__, "harken.")]
        return [importlib.import_module(name) for name in sorted(names) if "._" not in name]


def defines(module: ModuleType, name: str) -> bool:
    """Whether a public name is made in this module, and not only passed on from another."""
    value = getattr(module, name)
    if inspect.ismodule(value):
        return False
    if str(getattr(value, "__module__", "")).startswith("harken.") and hasattr(value, "__name__"):
        return value.__module__ == module.__name__
    return re.search(rf"^{re.escape(name)}\b[^=\n]*=", inspect.getsource(module), re.MULTILINE) is not None


def section(module: ModuleType, names: list[str]) -> str:
    """Return a module's part of a page: what it is for, and its public names."""
    text = inspect.getdoc(module) or ""
    return "\n".join(
        [heading(module.__name__, "-"), escape_bars(text) + "\n", *(entry(module, name) for name in names)]
    )


def entry(module: ModuleType, name: str) -> str:
    """Return the autodoc directive of one public name, under the shortest path by which it can be imported."""
    value = getattr(module, name)
    is_class = inspect.isclass(value)
    if not is_class and not (callable(value) and hasattr(value, "__name__")):
        return f".. autodata:: {module.__name__}.{name}\n   :no-value:\n"
    folder = importlib.import_module(".".join(module.__name__.split(".")[:2]))
    path = folder.__name__ if name in getattr(folder, "__all__", ()) else module.__name__
    if not is_class:
        return f".. autofunction:: {path}.{name}\n"
    options = "   :show-inheritance:\n" if value.__bases__ != (object,) else ""
    options += "" if issubclass(value, BaseException) else "   :members:\n"
    return f".. autoclass:: {path}.{name}\n{options}"


def heading(text: str, underline: str) -> str:
    """Return a reStructuredText heading."""
    return f"{text}\n{underline * len(text)}\n\n"


def write(path: Path, text: str) -> None:
    """Write a page only where it changed, so that Sphinx reads no more than it has to."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def escape_bars(text: str) -> str:
    """Keep ``|x|`` in docstrings the absolute value that is meant: reStructuredText takes it for a substitution."""
    return re.sub(r"(`+[^`]*`+)|\|", lambda match: match[1] or r"\|", text)
