"""NumPy, PyTorch or CuPy behind the few operations that projectors on arrays need, on a CPU or a GPU.

What the three spell alike (arithmetic, slices, ``@``, ``reshape``, ``swapaxes``, ``exp``, ``floor``) is written as it is; what
they spell differently is a method here. No operation adds to one element from several places at once, so that the order of sums
is not left to chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog

__all__ = ["LIBRARIES", "ArrayLibrary", "LibraryName", "open_library", "rounding"]

LibraryName = Literal["numpy", "torch", "cupy"]
LIBRARIES: tuple[LibraryName, ...] = ("numpy", "torch", "cupy")
WHERE = "backend"
_ROUNDING = 1e-5
_SHOWN = {"numpy": "NumPy", "torch": "PyTorch", "cupy": "CuPy"}
_PRECISE = {
    "torch": "the environment variable TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=0",
    "cupy": "the environment variable CUPY_TF32=0",
}
_INSTALL = {
    "torch": "pip install torch, or backend numba",
    "cupy": "pip install cupy-cuda12x (or that of your CUDA), or backend numba",
}


@dataclass(frozen=True, slots=True)
class ArrayLibrary:
    """An array library on one device; open it with `open_library`.

    Attributes
    ----------
    name, device : such as ``torch`` and ``cuda:1``
    xp : the module
    version : of the module
    """

    name: LibraryName
    device: str
    xp: Any
    version: str

    @property
    def at_once(self) -> int:
        """Values to work on at once: what fits into the caches of a CPU, or keeps a GPU busy."""
        return 2**21 if self.device == "cpu" else 2**25

    @property
    def label(self) -> str:
        """Library and kind of device, which decide the last bits of an image."""
        return f"{self.name} on {self.device.partition(':')[0]}"

    @property
    def words(self) -> str:
        """Name, version and device for sentences."""
        place = "the CPU" if self.device == "cpu" else self.device
        return f"{_SHOWN[self.name]} {self.version} on {place}"

    @contextmanager
    def within_memory(self) -> Iterator[None]:
        """Say in one sentence that the device has not enough memory.

        Raises
        ------
        NotComputable
            ``DEVICE_MEMORY`` where the library says so.
        """
        try:
            yield
        except (RuntimeError, MemoryError) as err:
            if type(err).__name__ != "OutOfMemoryError":
                raise
            raise NotComputable(
                "the projection", f"{self.words} has not enough memory", "a smaller image, a larger device, or backend numba",
                "DEVICE_MEMORY",
            ) from err  # fmt: skip

    def put(self, values: NDArray[Any]) -> Any:
        """Copy an array of NumPy to the device; its type stays."""
        held = np.ascontiguousarray(values)
        if self.name == "torch":
            # A copy, because PyTorch shares memory with NumPy on the CPU and knows no array that must not be written.
            return self.xp.tensor(held, device=self.device)
        return self.xp.asarray(held)

    def get(self, values: Any) -> NDArray[Any]:
        """Copy an array of the device to NumPy."""
        if self.name == "torch":
            return cast(NDArray[Any], values.detach().cpu().numpy())
        return cast(NDArray[Any], self.xp.asnumpy(values) if self.name == "cupy" else np.asarray(values))

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        """Zeros on the device; ``dtype`` is one of NumPy's."""
        return self.xp.zeros(shape, dtype=self._kind(dtype), **self._place)

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        """Memory on the device that is still to be written."""
        return self.xp.empty(shape, dtype=self._kind(dtype), **self._place)

    def count(self, size: int) -> Any:
        """Whole numbers from 0 on the device."""
        return self.xp.arange(size, dtype=self.xp.int64, **self._place)

    def cast(self, values: Any, dtype: Any) -> Any:
        """Return the array in another type of NumPy's name."""
        return values.to(self._kind(dtype)) if self.name == "torch" else values.astype(self._kind(dtype))

    def _kind(self, dtype: Any) -> Any:
        return getattr(self.xp, np.dtype(dtype).name)

    @property
    def _place(self) -> dict[str, str]:
        return {"device": self.device} if self.name == "torch" else {}

    def flat(self, values: Any) -> Any:
        """Return the elements in one line."""
        return values.reshape(-1)

    def pick(self, values: Any, index: Any) -> Any:
        """Elements of a line at places of any shape."""
        return self.xp.take(values, index)

    def along_last(self, values: Any, index: Any) -> Any:
        """Elements of the last axis in another order."""
        return values[..., index]

    def weighted_rows(self, values: Any, index: Any, weights: Any) -> Any:
        """Sums of weighted rows.

        Parameters
        ----------
        values : (rows, width)
        index : (terms, results) row of each term
        weights : (terms, results)

        Returns
        -------
        array
            (results, width): each is written once, from its terms in a fixed order.
        """
        if self.name == "torch":
            # The same sums in one pass, several times faster.
            return self.xp.nn.functional.embedding_bag(index.T, values, mode="sum", per_sample_weights=weights.T)
        out = values[index[0]] * weights[0][:, None]
        for k in range(1, index.shape[0]):
            out += values[index[k]] * weights[k][:, None]
        return out

    def erf(self, values: Any) -> Any:
        """Error function."""
        if self.name == "torch":
            return self.xp.special.erf(values)
        special = import_module("scipy.special" if self.name == "numpy" else "cupyx.scipy.special")
        return special.erf(values)


def open_library(name: str, device: str | None = None, *, log: NoticeLog, where: str = WHERE) -> ArrayLibrary:
    """Open a library on a device.

    Parameters
    ----------
    name : ``numpy``, ``torch`` or ``cupy``
    device : ``cpu``, ``cuda`` or ``cuda:1``; None: a GPU where the library sees one, and the CPU otherwise
    log : receives ``NO_GPU`` where the CPU stands in for it
    where : what asked for it, for messages

    Raises
    ------
    InputError
        For a library that is not installed, a device that it does not see, or one whose products are not of single precision.
    """
    if name not in LIBRARIES:
        raise InputError(where, "backend", name, "one of " + ", ".join(LIBRARIES))
    library: LibraryName = name
    wanted = _device(device, where)
    if library == "numpy":
        if wanted not in (None, "cpu"):
            raise InputError(where, "device", device, "cpu with numpy; torch and cupy know GPUs")
        return ArrayLibrary(library, "cpu", np, np.__version__)
    try:
        xp = import_module(library)
    except (ImportError, OSError) as err:
        raise InputError(where, "backend", f"{library}, which cannot be imported here", _INSTALL[library]) from err
    seen = _gpus(library, xp)
    if wanted is None and not seen and library == "torch":
        log.adapted("NO_GPU", f"{_SHOWN[library]} sees no GPU, so the CPU stands in for it; backend numba is faster there",
                    raw="no device", used="cpu")  # fmt: skip
        wanted = "cpu"
    chosen = "cuda" if wanted is None else wanted
    if (chosen == "cpu" and library == "cupy") or (chosen != "cpu" and _index(chosen) >= seen):
        there = "none" if not seen else ", ".join(f"cuda:{k}" for k in range(seen))
        other = "torch on the cpu, or backend numba" if library == "cupy" else "device cpu, or backend numba"
        raise InputError(where, "device", chosen, f"a GPU that {_SHOWN[library]} sees (there is {there}), {other}")
    if library == "cupy":
        xp.cuda.Device(_index(chosen)).use()
    found = ArrayLibrary(library, chosen, xp, str(xp.__version__).split("+")[0])
    if rounding(found) > _ROUNDING:
        raise InputError(where, "device", f"{found.words}, which rounds factors of products to 10 bits or fewer",
                         f"full single precision: {_PRECISE[library]}")  # fmt: skip
    return found


def rounding(library: ArrayLibrary) -> float:
    """Largest relative error of a product of two matrices whose elements need 13 bits.

    Some containers let products of GPUs round to 10 bits (TF32) by a variable of the environment, which would change an image by
    a thousandth without a word.
    """
    factor = np.full((64, 64), 1.0 + 2.0**-12, np.float32)
    product = library.get(library.put(factor) @ library.put(factor)).astype(np.float64)
    return float(np.abs(product / (64.0 * (1.0 + 2.0**-12) ** 2) - 1.0).max())


def _device(device: str | None, where: str) -> str | None:
    """The name of a device as it is written."""
    if not device:
        return None
    kind, colon, number = device.partition(":")
    if kind not in ("cpu", "cuda") or (colon and (kind == "cpu" or not (number.isascii() and number.isdigit()))):
        raise InputError(where, "device", device, "cpu, cuda, or cuda: and the number of a GPU such as cuda:1")
    return device


def _index(device: str) -> int:
    """Number of a GPU."""
    return int(device.partition(":")[2] or 0)


def _gpus(library: LibraryName, xp: ModuleType) -> int:
    """Return how many GPUs a library sees; drivers that do not answer are none."""
    count: Callable[[], int] = xp.cuda.device_count if library == "torch" else xp.cuda.runtime.getDeviceCount
    try:
        return int(count())
    except RuntimeError:
        # CuPy raises CUDARuntimeError, a RuntimeError, where there is no driver.
        return 0
