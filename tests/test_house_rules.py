"""The structure: imports point downwards, files stay short, exports exist, importing stays light."""

import ast
import pathlib
import subprocess
import sys

import pytest

import jkeras

PACKAGE = pathlib.Path(jkeras.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Each room and the rooms that it may import from, besides itself.
TABLES = {"activations", "initializers", "regularizers", "constraints", "losses", "metrics", "optimizers"}
MAY_IMPORT = {
    "core": set(),
    **{table: {"core"} for table in TABLES},
    "metrics": {"core", "losses"},
    "layers": {"core", "activations", "initializers", "regularizers", "constraints"},
    "callbacks": {"core"},
    "ops": {"core", "activations", "config", "layers", "losses", "random"},
    "config": {"core"},
    "backend": {"core", "config"},
    "random": {"core"},
    "dtype_policies": {"core"},
    "mixed_precision": {"config", "dtype_policies", "optimizers"},
    "tree": set(),
    "utils": {"core", "config", "backend"},
    "preprocessing": {"utils"},
    "saving": {"core", "layers"},
    "training": {"core", "callbacks"} | TABLES,
    "models": {"core", "callbacks", "training", "utils", "optimizers"},
}


def _room(path: pathlib.Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported_rooms(path: pathlib.Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "jkeras":
            rooms |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jkeras."):
            rooms.add(node.module.split(".")[1])
    return rooms


@pytest.mark.parametrize("path", [f for f in FILES if _room(f) != "__init__"], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    assert _imported_rooms(path) <= MAY_IMPORT[_room(path)] | {_room(path)}


def test_the_core_imports_nothing_but_jax_numpy_and_the_standard_library():
    for path in FILES:
        if _room(path) != "core":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in {*sys.stdlib_module_names, "jax", "numpy", "jkeras"}, (path, name)


@pytest.mark.parametrize("path", [*FILES, *PACKAGE.parent.glob("[!.]*/*.py")], ids=lambda p: str(p.relative_to(PACKAGE.parent)))
def test_no_file_is_longer_than_400_lines_and_no_function_needs_scrolling(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.end_lineno - node.lineno + 1 - (ast.get_docstring(node) or "").count("\n")
            inner = any(isinstance(other, ast.FunctionDef) for other in ast.walk(node) if other is not node)
            assert body <= (120 if inner else 60), node.name


@pytest.mark.parametrize(
    "module",
    sorted(
        TABLES
        | {"backend", "callbacks", "config", "layers", "random", "tree", "models", "preprocessing", "saving", "training", "utils"}
    ),
)
def test_every_exported_name_exists_and_is_documented(module):
    space = getattr(jkeras, module)
    for name in space.__all__:
        assert getattr(space, name).__doc__, name
    assert set(jkeras.__all__) <= set(dir(jkeras))


def _modules_imported(path: pathlib.Path) -> set[str]:
    """List the modules of the core that a file imports when it is run, wherever in it; for type checkers does not count."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jkeras.core"):
            names = [node.module] if node.module != "jkeras.core" else [f"jkeras.core.{alias.name}" for alias in node.names]
            found |= {name.split(".")[2] for name in names}
    return found


def test_the_modules_of_the_core_import_each_other_in_one_direction():
    imports = {p.stem: _modules_imported(p) for p in FILES if _room(p) == "core" and p.stem != "__init__"}
    while imports:
        free = {name for name, needed in imports.items() if not needed & set(imports)}
        assert free, f"a circle among {sorted(imports)}"
        imports = {name: needed for name, needed in imports.items() if name not in free}


def test_importing_jkeras_loads_nothing_that_is_only_sometimes_needed():
    rare = ("rich", "matplotlib", "h5py", "orbax", "sklearn", "keras", "pandas")
    script = f"import jkeras, sys; print([m for m in {rare} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_keras_names_can_be_imported_from_where_keras_has_them():
    from jkeras.layers import Input, TimeDistributed  # noqa: F401
    from jkeras.models import Model, Sequential  # noqa: F401
    from jkeras.utils import to_categorical  # noqa: F401

    assert jkeras.layers.Input is jkeras.Input
    assert jkeras.models.Sequential is jkeras.Sequential
