"""``method = "simulated"`` in the configuration of a PET."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import InputError, MissingValue
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import acquire
from fusin.reconstruction.config import read_config
from fusin.reconstruction.pet import CylindricalScanner, PetSinogramProjector, SinogramGeometry, TofBins
from fusin.reconstruction.pet_corrections import attenuation_factors
from fusin.reconstruction.pet_interfile import write_sinogram
from fusin.reconstruction.pet_scatter import single_scatter

CONFIG = """
modality = "pet"
[data]
projections = "prompts.hs"
[image]
shape = [9, 32, 32]
voxel_mm = 10
[attenuation]
mu_map = "mu.nii.gz"
[scatter]
method = "simulated"
[algorithm]
iterations = 2
subsets = 6
"""
SCANNER = {"crystals": 72, "rings": 5, "radius_mm": 250.0, "ring_pitch_mm": 20.0}
WINDOW = {"energy_resolution": 0.12, "energy_window_kev": (435.0, 650.0)}


def made(folder, *, tof=None, **scanner):
    geometry = SinogramGeometry.of_span(CylindricalScanner(**SCANNER, **scanner), bins=51, tof=tof)
    grid = geometry.grid(pixel_mm=10.0, columns=32)
    y, x = np.meshgrid(*[(np.arange(32) - 15.5) * 10.0] * 2, indexing="ij")
    body = np.broadcast_to(np.hypot(x, y) < 100.0, grid.shape).astype(np.float32)
    mu = Volume(values=body * np.float32(0.096), grid=grid, unit="/cm")
    trues = PetSinogramProjector(geometry, grid, factors=attenuation_factors(geometry, mu)).forward(10 * body)
    write_nifti(folder / "mu.nii.gz", mu)
    whole = SinogramGeometry.of_span(CylindricalScanner(**SCANNER, **WINDOW), bins=51, tof=tof)
    scatter = single_scatter(whole, 10 * body, grid, mu)
    counts = np.random.default_rng(0).poisson(trues + scatter).astype(np.float32)
    write_sinogram(folder / "prompts.hs", geometry, counts)
    (folder / "c.toml").write_text(CONFIG)
    return scatter


@pytest.mark.parametrize("tof", [None, TofBins(count=7, width_ps=800.0, resolution_ps=500.0)], ids=["untimed", "timed"])
def test_scatter_is_simulated_from_the_counts_and_the_map(tmp_path, tof):
    scatter = made(tmp_path, tof=tof, **WINDOW)
    measured = acquire(read_config(tmp_path / "c.toml"), log=NoticeLog()).measured
    assert measured.additive.sum() == pytest.approx(scatter.sum(), rel=0.05)
    assert any(s.startswith("Scatter: single scatter simulated") for s in measured.corrections)


def test_without_map_or_energy_window_simulation_is_refused(tmp_path):
    made(tmp_path)
    with pytest.raises(MissingValue, match="energy window"):
        acquire(read_config(tmp_path / "c.toml"), log=NoticeLog())
    (tmp_path / "c.toml").write_text(CONFIG.replace('[attenuation]\nmu_map = "mu.nii.gz"\n', ""))
    with pytest.raises(InputError, match="simulated from its map"):
        acquire(read_config(tmp_path / "c.toml"), log=NoticeLog())
