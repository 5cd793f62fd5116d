"""Whether compiled kernels wait on the disk, so that a user is told before a first run takes longer."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Literal

__all__ = ["kernels_compiled"]

_KERNELS = {
    "matrix": (("poisson_kernels", "quotients"),),
    "spect": (("poisson_kernels", "quotients"), ("spect_kernels", "rotate_forward")),
    "pet": (("poisson_kernels", "quotients"), ("pet_kernels", "")),
}


def kernels_compiled(modality: Literal["spect", "pet", "matrix"]) -> bool:
    """Whether every kernel of a modality lies in the cache of numba.

    Parameters
    ----------
    modality : whose kernels
    """
    from fusin.reconstruction.poisson_kernels import quotients

    place = quotients.stats.cache_path
    if place is None:
        return False
    folder = Path(place)
    for module, function in _KERNELS[modality]:
        import_module(f"fusin.reconstruction.{module}")
        if not any(folder.glob(f"{module}.{function}*.nbi")):
            return False
    return True
