"""The backend as a configuration names it: the same image, named in the result, and never mixed with another on resume."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from array_problems import difference, pet, spect

from fusin.errors import InputError
from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import acquire
from fusin.reconstruction.array_backend import on_arrays
from fusin.reconstruction.array_library import open_library
from fusin.reconstruction.array_pet import ArrayPetSinogramProjector
from fusin.reconstruction.array_spect import ArraySpectProjector
from fusin.reconstruction.checkpoints import read_checkpoint, write_checkpoint
from fusin.reconstruction.config import read_config
from fusin.reconstruction.pet_interfile import write_sinogram
from fusin.reconstruction.run import run_reconstruction, settings_of
from fusin.reconstruction.spect_acquisition import EnergyWindow, SpectAcquisition
from fusin.reconstruction.spect_dicom_write import write_nm_projections
from fusin.reconstruction.synthetic_slice import make_slice

MATRIX = 'modality = "matrix"\n[data]\nmatrix = "slice.npz"\n[image]\nshape = [1, 16, 16]\nvoxel_mm = 8\n'
SPECT = 'modality = "spect"\n[data]\nprojections = "tomo.dcm"\n[resolution]\nslope = 0.058\nintercept_mm = 1.65\n'
PET = (
    'modality = "pet"\n[data]\nprojections = "prompts.hs"\n[image]\nshape = [11, 27, 31]\nvoxel_mm = 6\n'
    "[resolution]\nfwhm_mm = 7\n"
)
INJECTED = {"activity_mbq": 7000, "time": datetime(2026, 3, 1, 9, 30), "half_life_s": 574300, "nuclide": "Lu-177"}
ALGORITHM = '[algorithm]\niterations = 2\nsubsets = 4\nbackend = "{}"\n{}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Counts of a slice, a SPECT and a PET."""
    place = tmp_path_factory.mktemp("backend")
    made = make_slice(seed=1, size=16, views=16)
    np.savez(place / "slice.npz", matrix=made.matrix, counts=made.counts, additive=made.additive)
    rng = np.random.default_rng(0)
    host = spect(attenuated=False)
    counts = rng.poisson(20.0 * host.forward(np.ones(host.image_shape, np.float32))).astype(np.float32)
    acquisition = SpectAcquisition(
        counts=counts[None], windows=(EnergyWindow("peak", 187.2, 228.8),), geometry=host.geometry,
        durations_s=np.full(len(counts), 10.0),
    )  # fmt: skip
    write_nm_projections(
        place / "tomo.dcm", acquisition, study=StudyHeader(), injection=InjectionHeader(**INJECTED), seed_uid="a"
    )
    sinogram = pet(span=3)
    prompts = rng.poisson(0.02 * sinogram.forward(np.ones(sinogram.image_shape, np.float32))).astype(np.float32)
    write_sinogram(place / "prompts.hs", sinogram.geometry, prompts)
    return place


def configured(folder, text, backend, device=""):
    path = folder / f"{backend}.toml"
    path.write_text(text + ALGORITHM.format(backend, f'device = "{device}"\n' if device else ""))
    return read_config(path)


def ran(config):
    acquired = acquire(config, log=NoticeLog())
    return run_reconstruction(config, acquired, log=NoticeLog())


@pytest.mark.parametrize("text", [MATRIX, SPECT, PET], ids=["matrix", "spect", "pet"])
def test_another_backend_gives_the_same_image_and_is_named(folder, text):
    runs = {name: ran(configured(folder, text, name)) for name in ("numba", "numpy")}
    assert difference(runs["numpy"].image.values, runs["numba"].image.values) < 1e-4
    assert [r.acquired.backend for r in runs.values()] == ["numba on cpu", "numpy on cpu"]
    assert f"Backend: NumPy {np.__version__} on the CPU, single precision." in runs["numpy"].corrections
    expected = {SPECT: ArraySpectProjector, PET: ArrayPetSinogramProjector}.get(text)
    assert expected is None or isinstance(runs["numpy"].acquired.projector, expected)


def test_a_checkpoint_of_another_backend_is_refused(folder, tmp_path):
    config = configured(folder, MATRIX, "numba")
    acquired = acquire(config, log=NoticeLog())
    run = run_reconstruction(config, acquired, log=NoticeLog())
    path = write_checkpoint(tmp_path / "checkpoint.npz", run.result.state, settings_of(config, acquired))
    other = configured(folder, MATRIX, "numpy")
    with pytest.raises(InputError, match="backend: found 'numba on cpu', need numpy on cpu"):
        read_checkpoint(path, settings_of(other, acquire(other, log=NoticeLog())))


@pytest.mark.parametrize(
    ("backend", "device", "needed"),
    [
        ("numba", "cuda", "cpu with the backend numba"),
        ("opencl", "", "one of numba, numpy, torch, cupy"),
        ("numpy", "cuda:0", "cpu with numpy"),
    ],
)
def test_a_backend_or_device_that_cannot_be_is_refused_in_one_sentence(folder, backend, device, needed):
    with pytest.raises(InputError, match=needed) as caught:
        acquire(configured(folder, MATRIX, backend, device), log=NoticeLog())
    assert str(caught.value).startswith(f"{backend}.toml, algorithm: ")
    assert str(caught.value).count("\n") == 0


def test_a_projector_that_no_other_backend_has_is_refused(folder):
    from dataclasses import replace

    listed = configured(folder, 'modality = "pet"\n[data]\nevents = "none.npz"\n', "numpy")
    with pytest.raises(InputError, match="numpy with list mode', need backend numba"):
        acquire(listed, log=NoticeLog())
    config = configured(folder, MATRIX, "numpy")
    acquired = replace(acquire(config, log=NoticeLog()), projector=object())
    with pytest.raises(InputError, match="backend numba"):
        on_arrays(acquired, open_library("numpy", log=NoticeLog()), config)
