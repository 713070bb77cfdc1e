"""The package as a whole: quick to import, documented, small modules, and folders that import only upwards."""

import ast
import functools
import importlib
import inspect
import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import harken

ROOT = Path(harken.__file__).parent

UPWARDS: dict[str, tuple[str, ...]] = {
    "errors": (),
    "checks": (),
    "files": (),
    "pickles": (),
    "prepared": (),
    "processes": (),
    "interrupts": (),
    "once": (),
    "splits": (),
    "registration": (),
    "raytracing": (),
    "scene": ("raytracing",),
    "vision": ("raytracing", "scene"),
    "sound": ("raytracing",),
    "acoustics": ("raytracing", "scene", "sound"),
    "metrics": ("raytracing", "scene", "vision", "sound", "acoustics"),
    "sim": ("raytracing", "scene", "vision", "sound", "acoustics", "metrics"),
    "tasks": ("raytracing", "scene", "vision", "sound", "acoustics", "metrics", "sim"),
}
"""What each folder may import besides itself, the root's version and `BELOW_ALL`."""
BELOW_ALL = "errors", "checks", "files", "pickles", "prepared", "processes", "interrupts", "once", "splits"
UPWARDS["configs"] = (*UPWARDS["tasks"], "tasks")  # A preset is a value of the settings beside the code below it.
UPWARDS["envs"] = (*UPWARDS["configs"], "configs", "registration")
UPWARDS["agents"] = (*UPWARDS["envs"], "envs")
UPWARDS["eval"] = (*UPWARDS["agents"], "agents")
UPWARDS["render"] = (*UPWARDS["eval"], "eval")
UPWARDS["arguments"] = (*UPWARDS["render"], "render")
UPWARDS["compiling"] = (*UPWARDS["arguments"], "arguments")
UPWARDS["commands"] = (*UPWARDS["compiling"], "compiling")
UPWARDS["cli"] = (*UPWARDS["commands"], "commands")
UPWARDS["integrations"] = (*UPWARDS["cli"], "cli")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
PUBLIC = [name for name in FILES if not any(part.startswith("_") for part in name.split("."))]
FOLDERS = sorted({name.split(".")[1] for name in FILES if name.count(".")})


def run(code: str) -> dict:
    """Run code in a fresh interpreter and return the object that it prints as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def imported_modules(path: Path) -> list[tuple[int, str]]:
    """Return (line, module) of every import of Harken's own modules in a file, except those for types only."""
    found = []
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    for_types = [node for node in nodes if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    unseen = {id(node) for block in for_types for statement in block.body for node in ast.walk(statement)}
    for node in nodes:
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; write the whole name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            # What the package itself offers it takes from below: a folder names the module that it means.
            is_root = node.module == "harken"
            found += [(node.lineno, name if name in FILES or is_root else str(node.module)) for name in names]
    return [(line, name) for line, name in found if name == "harken" or name.startswith("harken.")]


def test_import_takes_less_than_half_a_second_of_processor_time():
    # Processor time, not the clock: other test processes share the machine. The least of three runs, because the first
    # may compile bytecode.
    code = (
        "import json, time; start = time.process_time(); import harken; "
        "print(json.dumps({'seconds': time.process_time() - start}))"
    )
    assert min(run(code)["seconds"] for _ in range(3)) < 0.5


def test_import_leaves_heavy_packages_alone():
    heavy = ["torch", "trimesh", "ray", "matplotlib", "stable_baselines3", "av", "tyro", "PIL", "soundfile", "soxr"]
    code = f"import json, sys, harken; print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    assert run(code) == []


@pytest.mark.parametrize("name", PUBLIC)
def test_module_lists_its_public_names_and_documents_them(name):
    if name == "harken.agents.training.cluster":
        pytest.importorskip("ray.rllib", reason="needs harken[rllib]", exc_type=ImportError)
    if name.startswith("harken.integrations.habitat_lab.s") and not name.endswith("stand_ins"):
        pytest.importorskip("habitat", reason="needs habitat-lab", exc_type=ImportError)
    module = importlib.import_module(name)
    assert hasattr(module, "__all__"), f"{name} has no __all__"
    names = list(module.__all__)
    assert len(set(names)) == len(names)
    for public in names:
        assert hasattr(module, public), f"{name}.__all__ names {public!r}, which does not exist"
        assert is_documented(module, public), f"{name}.{public} has no docstring"


def is_documented(module: ModuleType, name: str) -> bool:
    """Whether a name has a docstring of its own: a class or function holds one, a constant has one on the next line."""
    if any(name in documented_constants(path) for path in FILES.values()):
        return True
    value = getattr(module, name)
    holds_docstring = inspect.ismodule(value) or inspect.isclass(value) or hasattr(value, "__code__")
    return bool(holds_docstring or hasattr(value, "__wrapped__")) and bool(inspect.getdoc(value))


@functools.cache
def documented_constants(path: Path) -> set[str]:
    """Names assigned at a module's top level with a string on the line after."""
    found = set()
    for node, after in itertools.pairwise(ast.parse(path.read_text(encoding="utf-8")).body):
        match node, after:
            case (
                ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str())),
            ):
                found.add(name)
    return found


@pytest.mark.parametrize("name", FILES)
def test_module_fits_in_eight_hundred_lines(name):
    assert len(FILES[name].read_text(encoding="utf-8").splitlines()) <= 800


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_imports_only_from_those_above_it(folder):
    assert folder in UPWARDS, f"harken/{folder} has no place in the order of folders; add it to UPWARDS"
    allowed = {
        folder,
        "errors",
        "checks",
        "files",
        "pickles",
        "prepared",
        "processes",
        "interrupts",
        "once",
        "splits",
        *UPWARDS[folder],
    }
    wrong = [
        f"{FILES[name].relative_to(ROOT.parent)}:{line} imports {imported}"
        for name in FILES
        if name.split(".")[1:2] == [folder]
        for line, imported in imported_modules(FILES[name])
        if imported not in ("harken", "harken.__version__") and imported.split(".")[1] not in allowed
    ]
    assert wrong == []


def test_imports_inside_functions_are_seen_and_those_for_types_are_not(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import os\ndef f():\n    from harken.scene import Scene\n    import harken.cli\n", encoding="utf-8"
    )
    assert imported_modules(path) == [(3, "harken.scene"), (4, "harken.cli")]


def test_package_is_marked_as_typed():
    assert (ROOT / "py.typed").is_file()
