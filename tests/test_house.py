"""House rules that a machine can check: who may import whom, sizes, names, words, and tests that assert something."""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "fusin"
MODULES = sorted(SOURCE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
FILE_LINES, FUNCTION_LINES = 500, 60
# Lower rooms never import higher ones. Rooms of one level may use each other unless FORBIDDEN says no.
LEVELS = (
    ("errors", "provenance", "files"),
    ("decay", "nuclides", "evidence", "stats", "tabular"),
    ("imaging",),
    ("quantification", "dosimetry", "radiopharmacy", "receptor", "cohort", "trials", "assays", "reconstruction"),
    ("report",),
    ("web", "cli"),
)
# Builders for tests and plug-ins stand outside of the levels; no room may import them.
OUTSIDE = ("testing", "_ibsi_dro", "_jpeg_lossless")
# Functions and files above the limits, each with its reason.
LONG_FUNCTIONS: dict[str, str] = {
    "cli/scan_commands.py:read": "the signature is the list of its options",
    "imaging/phantom.py:make_patient": "half of it lists and explains the choices of a patient",
    "imaging/rasterise_kernels.py:trace_edges": "one compiled walk along the edges; its state is local",
    "imaging/rtstruct.py:write_rtstruct": "half of it lists and explains its arguments",
}
LONG_FILES: dict[str, str] = {}
# Tests whose claim is that something runs.
RUNS = ("test_python_example_runs",)


def name_of(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path, *, lazy=True):
    """Names of fusin modules that a file imports; without ``lazy`` only those that run when it is imported."""
    found = set()

    def visit(node, inside):
        for child in ast.iter_child_nodes(node):
            nested = inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            if typing_only and not lazy:
                continue
            if lazy or not nested:
                if isinstance(child, ast.Import):
                    found.update(a.name for a in child.names)
                elif isinstance(child, ast.ImportFrom) and child.module:
                    found.add(child.module)
                    found.update(f"{child.module}.{a.name}" for a in child.names)
            visit(child, nested)

    visit(tree_of(path), False)
    known = {name_of(p) for p in MODULES}
    return {name for name in found if name in known and name != "fusin"}


def level_of(room):
    return next((i for i, rooms in enumerate(LEVELS) if room in rooms), None)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_imports_upward(path):
    room = room_of(name_of(path))
    if room in ("", *OUTSIDE):
        assert room in ("", *OUTSIDE)
        return
    level = level_of(room)
    assert level is not None, f"{room} is missing in the levels of this test"
    for imported in imports_of(path):
        other = room_of(imported)
        assert other not in OUTSIDE, f"{name_of(path)} imports {imported}, which is for tests"
        assert level_of(other) <= level, f"{name_of(path)} imports {imported} above it"


def test_no_modules_import_each_other_in_a_circle():
    graph = {name_of(p): imports_of(p, lazy=False) - {name_of(p)} for p in MODULES}
    done, path = set(), []

    def walk(name):
        if name in path:
            pytest.fail(" -> ".join([*path[path.index(name) :], name]))
        if name in done:
            return
        path.append(name)
        for other in sorted(graph[name]):
            walk(other)
        path.pop()
        done.add(name)

    for name in sorted(graph):
        walk(name)
    assert done == set(graph)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_exported_name_exists(path):
    module = importlib.import_module(name_of(path))
    exported = getattr(module, "__all__", [])
    assert [name for name in exported if not hasattr(module, name)] == []
    assert len(set(exported)) == len(exported)


@pytest.mark.parametrize("path", [p for p in MODULES if p.name != "__init__.py"], ids=name_of)
def test_every_module_says_what_it_exports(path):
    assert any(
        isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets)
        for node in tree_of(path).body
    )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_names_have_docstrings(path):
    module = importlib.import_module(name_of(path))
    assert inspect.getdoc(module)
    for name in getattr(module, "__all__", []):
        found = getattr(module, name)
        if inspect.isfunction(found) or inspect.isclass(found):
            assert (found.__doc__ or "").strip(), f"{name_of(path)}.{name}"
            assert not found.__doc__.startswith(f"{name}("), f"{name_of(path)}.{name} has only a generated docstring"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_are_short(path):
    where = path.relative_to(SOURCE).as_posix()
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LINES or where in LONG_FILES, f"{where} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_are_short(path):
    where = path.relative_to(SOURCE).as_posix()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            named = f"{where}:{node.name}"
            assert lines <= FUNCTION_LINES or named in LONG_FUNCTIONS, f"{named} has {lines} lines"


def test_every_exception_of_the_limits_is_still_needed():
    for named in LONG_FUNCTIONS:
        where, function = named.split(":")
        lines = [
            n.end_lineno - n.lineno + 1
            for n in ast.walk(tree_of(SOURCE / where))
            if isinstance(n, ast.FunctionDef) and n.name == function
        ]
        assert max(lines, default=0) > FUNCTION_LINES, f"{named} is short now"
    for where in LONG_FILES:
        assert len((SOURCE / where).read_text().splitlines()) > FILE_LINES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_library_is_silent(path):
    """Printing and leaving the process belong to the command line."""
    calls = {n.func.id for n in ast.walk(tree_of(path)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not calls & {"print", "exit", "quit", "breakpoint"}
    leaves = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.Call) and ast.unparse(n.func) == "sys.exit"]
    assert room_of(name_of(path)) == "cli" or not leaves


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_numba_is_imported_only_by_kernels(path):
    heavy = {alias.name.split(".")[0] for n in tree_of(path).body if isinstance(n, ast.Import) for alias in n.names} | {
        n.module.split(".")[0] for n in tree_of(path).body if isinstance(n, ast.ImportFrom) and n.module
    }
    assert "numba" not in heavy or path.stem.endswith("_kernels")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_exception_is_swallowed_without_a_word(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"bare except in {name_of(path)}:{node.lineno}"


def test_rooms_hold_no_code_in_their_package_file():
    for path in SOURCE.rglob("__init__.py"):
        body = [n for n in tree_of(path).body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
        code = [n for n in body if isinstance(n, (ast.For, ast.While, ast.With, ast.Try))]
        assert code == [], path


def _asserts(function):
    """Whether a test checks anything: an assert, a ``pytest.raises``, an assert helper, or a fixture's own check."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name.startswith(("assert", "check_", "_check")) or name in ("raises", "warns", "fail", "fails_with"):
                return True
    return False


def test_no_test_measures_time():
    """A busy machine is slow and not wrong; speed is measured in benchmarks/."""
    clocks = ("process_time" + "(", "perf_counter" + "(")
    found = [p.name for p in (ROOT / "tests").rglob("*.py") if any(c in p.read_text(encoding="utf-8") for c in clocks)]
    assert found == []


@pytest.mark.parametrize("path", TESTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_test_asserts_something(path):
    tree = tree_of(path)
    helpers = {
        n.name for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("test") and _asserts(n)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            called = {getattr(c.func, "id", "") for c in ast.walk(node) if isinstance(c, ast.Call)}
            assert node.name in RUNS or _asserts(node) or called & helpers, f"{path.name}:{node.name} asserts nothing"


@pytest.mark.parametrize("path", TESTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_test_stands_twice(path):
    """The second definition of a name silently replaces the first."""
    names = [n.name for n in tree_of(path).body if isinstance(n, ast.FunctionDef)]
    assert sorted(names) == sorted(set(names))


def test_test_modules_have_names_of_their_own():
    """Without packages pytest imports test modules by their file name alone."""
    names = [p.name for p in TESTS]
    assert sorted(names) == sorted(set(names))


def test_every_test_module_stands_where_its_module_stands():
    """tests/<wing>/test_<module>.py mirrors src/fusin/<wing>/<module>.py, so that a reader finds it."""
    wings = {p.name for p in SOURCE.iterdir() if p.is_dir()} | {"published", "docs"}
    assert {p.parent.name for p in TESTS if p.parent != ROOT / "tests"} <= wings
