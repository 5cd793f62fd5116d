"""The projector of an acquisition on another array library, as a configuration asks for it."""

from __future__ import annotations

from dataclasses import replace

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import Acquired
from fusin.reconstruction.array_library import ArrayLibrary, open_library
from fusin.reconstruction.array_pet import ArrayPetSinogramProjector
from fusin.reconstruction.array_projector import ArrayMatrixProjector
from fusin.reconstruction.array_spect import ArraySpectProjector
from fusin.reconstruction.config import Config
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.projector import MatrixProjector, Projector
from fusin.reconstruction.spect import SpectProjector

__all__ = ["on_arrays", "opened"]


def opened(config: Config, *, log: NoticeLog) -> ArrayLibrary:
    """Open the library and the device of a configuration.

    Raises
    ------
    InputError
        For list mode, a library that is not installed, or a device that it does not see.
    """
    where = f"{config.path.name}, algorithm"
    # Before its sensitivity is computed, which takes longest.
    if config.modality == "pet" and "events" in config.fields("data"):
        raise _only_numba(where, config.backend)
    return open_library(config.backend, config.device, where=where, log=log)


def on_arrays(acquired: Acquired, library: ArrayLibrary, config: Config) -> Acquired:
    """Return the acquisition with its projector on a library, which its corrections then name.

    Parameters
    ----------
    acquired : with the projector of the CPU
    library : of `opened`
    config : for messages

    Raises
    ------
    InputError
        For a projector that no other backend has: list mode, or rings without a common pitch.
    NotComputable
        Where the device has not enough memory.
    """
    measured = acquired.measured
    sentence = f"Backend: {library.words}, single precision."
    return replace(
        acquired, projector=_moved(acquired.projector, library, config), backend=library.label,
        measured=replace(measured, corrections=(*measured.corrections, sentence)),
    )  # fmt: skip


def _moved(projector: Projector, library: ArrayLibrary, config: Config) -> Projector:
    where = f"{config.path.name}, algorithm"
    with library.within_memory():
        if isinstance(projector, SpectProjector):
            return ArraySpectProjector(projector, library)
        if isinstance(projector, PetSinogramProjector):
            return ArrayPetSinogramProjector(projector, library, where=where)
        if isinstance(projector, MatrixProjector):
            return ArrayMatrixProjector(projector, to_device=library.put, to_host=library.get)
    raise _only_numba(where, library.name)


def _only_numba(where: str, backend: str) -> InputError:
    return InputError(
        where, "backend", f"{backend} with list mode", "backend numba, which walks the lines of single events"
    )
