"""Opening an array library: what is absent is named with what would do, and every operation is that of NumPy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from array_problems import library

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.reconstruction import array_library
from fusin.reconstruction.array_gather import GatherMatrix
from fusin.reconstruction.array_library import ArrayLibrary, open_library, rounding


def installed(monkeypatch, module):
    """Let every import of a library give this module, or fail where it is an error."""

    def importing(name):
        if isinstance(module, Exception):
            raise module
        return module

    monkeypatch.setattr(array_library, "import_module", importing)
    monkeypatch.setattr(array_library, "rounding", lambda library: 0.0)


def torch_with(gpus):
    return SimpleNamespace(cuda=SimpleNamespace(device_count=lambda: gpus), __version__="2.9.0+cu128")


def cupy_with(gpus):
    """As CuPy behaves without a driver: a RuntimeError."""
    used = []

    def count():
        if not gpus:
            raise RuntimeError("cudaErrorNoDevice")
        return gpus

    cuda = SimpleNamespace(
        runtime=SimpleNamespace(getDeviceCount=count),
        Device=lambda number: SimpleNamespace(use=lambda: used.append(number)),
    )
    return SimpleNamespace(cuda=cuda, __version__="13.3.0", used=used)


@pytest.mark.parametrize("name", ["torch", "cupy"])
@pytest.mark.parametrize("failure", [ImportError("no module"), OSError("a shared library is missing")])
def test_a_library_that_is_absent_is_refused_with_what_to_install(monkeypatch, name, failure):
    installed(monkeypatch, failure)
    with pytest.raises(InputError, match=f"pip install {name}") as caught:
        open_library(name, log=NoticeLog())
    assert str(caught.value).count("\n") == 0


def test_the_gpu_is_the_default_where_there_is_one(monkeypatch):
    log = NoticeLog()
    installed(monkeypatch, torch_with(2))
    assert open_library("torch", log=log).device == "cuda"
    assert open_library("torch", "cuda:1", log=log).label == "torch on cuda"
    assert open_library("torch", "cpu", log=log).words == "PyTorch 2.9.0 on the CPU"
    cupy = cupy_with(2)
    installed(monkeypatch, cupy)
    assert open_library("cupy", "cuda:1", log=log).device == "cuda:1"
    assert cupy.used == [1]
    assert log.notices == ()


def test_the_cpu_stands_in_for_a_gpu_with_a_notice(monkeypatch):
    installed(monkeypatch, torch_with(0))
    log = NoticeLog()
    assert open_library("torch", log=log).device == "cpu"
    assert [(n.code, n.severity) for n in log.notices] == [("NO_GPU", "adapted")]
    quiet = NoticeLog()
    open_library("torch", "cpu", log=quiet)
    assert quiet.notices == ()


@pytest.mark.parametrize(
    ("name", "device", "module", "needed"),
    [
        ("torch", "cuda", torch_with(0), "there is none"),
        ("torch", "cuda:3", torch_with(2), "there is cuda:0, cuda:1"),
        ("torch", "gpu", torch_with(1), "cpu, cuda"),
        ("torch", "cuda:", torch_with(1), "cpu, cuda"),
        ("torch", "cuda:-1", torch_with(1), "cpu, cuda"),
        ("torch", "cpu:0", torch_with(1), "cpu, cuda"),
        ("cupy", None, cupy_with(0), "torch on the cpu"),
        ("cupy", "cpu", cupy_with(1), "torch on the cpu"),
        ("numpy", "cuda", None, "cpu with numpy"),
        ("jax", None, None, "numpy, torch, cupy"),
    ],
)
def test_a_device_that_is_not_there_is_refused_in_one_sentence(monkeypatch, name, device, module, needed):
    installed(monkeypatch, module)
    with pytest.raises(InputError, match=needed) as caught:
        open_library(name, device, log=NoticeLog(), where="c.toml, algorithm")
    assert str(caught.value).startswith("c.toml, algorithm: ")
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_products_are_of_single_precision(name):
    assert rounding(library(name)) < 1e-6


def test_a_device_that_rounds_products_is_refused(monkeypatch):
    """TF32 keeps 10 bits of each factor: 1 + 2^-12 becomes 1, and the product is 2^-11 too small."""
    monkeypatch.setattr(
        ArrayLibrary, "put", lambda lib, a: (a.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
    )
    found = rounding(library("numpy"))
    assert found == pytest.approx(2.0**-11, rel=1e-3)
    installed(monkeypatch, torch_with(1))
    monkeypatch.setattr(array_library, "rounding", lambda library: found)
    with pytest.raises(InputError, match="TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=0"):
        open_library("torch", "cuda", log=NoticeLog())


class OutOfMemoryError(RuntimeError):
    """As PyTorch names it."""


def test_a_device_without_enough_memory_is_named_and_other_errors_pass():
    lib = library("numpy")
    with pytest.raises(NotComputable, match="not enough memory") as caught, lib.within_memory():
        raise OutOfMemoryError("CUDA out of memory")
    assert caught.value.code == "DEVICE_MEMORY"
    with pytest.raises(RuntimeError, match="another reason"), lib.within_memory():
        raise RuntimeError("another reason")


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_operations_are_those_of_numpy(name):
    lib = library(name)
    rng = np.random.default_rng(0)
    values = rng.random((5, 3), np.float32)
    held = lib.put(values)
    assert (lib.get(held) == values).all()
    assert (
        lib.get(lib.pick(lib.flat(held), lib.put(np.array([[0, 14], [3, 3]])))) == values.ravel()[[[0, 14], [3, 3]]]
    ).all()
    assert (lib.get(lib.along_last(held, lib.put(np.array([2, 0])))) == values[:, [2, 0]]).all()
    assert lib.get(lib.cast(held, np.float64)).dtype == np.float64
    assert lib.get(lib.count(4)).tolist() == [0, 1, 2, 3]
    assert lib.get(lib.zeros((2, 2), np.float64)).tolist() == [[0, 0], [0, 0]]
    assert tuple(lib.empty((2, 3)).shape) == (2, 3)
    # erf(1) = 0.8427007929497149, Abramowitz and Stegun, table 7.1.
    assert lib.get(lib.erf(lib.put(np.ones(1)))) == pytest.approx(0.8427007929)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_gathered_matrix_and_its_transpose_are_the_dense_ones(name):
    lib = library(name)
    rng = np.random.default_rng(1)
    index, weights = rng.integers(0, 6, (3, 40)), rng.random((3, 40), np.float32)
    weights[rng.random((3, 40)) < 0.3] = 0.0
    dense = np.zeros((40, 6))
    np.add.at(dense, (np.arange(40), index), weights)
    matrix = GatherMatrix.of(lib, index, weights, 6)
    x, y = rng.random((6, 4), np.float32), rng.random((40, 4), np.float32)
    assert lib.get(matrix.forward(lib.put(x))) == pytest.approx(dense @ x, rel=1e-5)
    assert lib.get(matrix.back(lib.put(y))) == pytest.approx(dense.T @ y, rel=1e-5)
    assert matrix.bytes > 2 * 3 * 40 * 4


def test_a_matrix_without_any_weight_gives_zeros():
    lib = library("numpy")
    matrix = GatherMatrix.of(lib, np.zeros((2, 5), int), np.zeros((2, 5), np.float32), 3)
    assert not matrix.forward(np.ones((3, 2), np.float32)).any()
    assert matrix.back(np.ones((5, 2), np.float32)).shape == (3, 2)
