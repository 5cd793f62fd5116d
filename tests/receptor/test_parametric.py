"""Maps of rates that are known, from arrays and from files."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pydicom
import pytest

from fusin.errors import InputError, NotComputable
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.receptor.compartments import derived, tissue_curve
from fusin.receptor.dynamic_series import read_dynamic
from fusin.receptor.frames import Frames, TissueCurve
from fusin.receptor.graphical import fit_line
from fusin.receptor.parametric import MAPS, ParametricOptions, parametric_maps, voxel_values
from fusin.receptor.reference_tissue import reference_input
from fusin.receptor.synthetic_kinetics import bolus_input, dynamic_frames
from fusin.testing import make_pet_series

SOURCE, FRAMES = bolus_input(scale_kbq_ml=12.0), dynamic_frames()
N = 120


def drawn(model, seed=0):
    """Rates and curves of many voxels."""
    rng = np.random.default_rng(seed)
    ranges = {"K1": (0.05, 0.6), "k2": (0.1, 0.5), "k3": (0.03, 0.2), "k4": (0.01, 0.08)}
    names = {"1tcm": ("K1", "k2"), "2tcm": ("K1", "k2", "k3", "k4"), "2tcm-irreversible": ("K1", "k2", "k3")}[model]
    rates = {n: rng.uniform(*ranges[n], N) for n in names}
    each = [{n: float(v[i]) for n, v in rates.items()} for i in range(N)]
    curves = np.stack([tissue_curve(model, one, SOURCE, FRAMES, vb=0.05, average=False) for one in each])
    for name in derived(model, each[0]):
        rates[name] = np.array([derived(model, one)[name] for one in each])
    return rates, curves.astype(np.float32)


@pytest.mark.parametrize(("model", "tolerance"), [("2tcm", 2e-3), ("1tcm", 2e-3), ("2tcm-irreversible", 1e-2)])
def test_voxels_without_noise_give_their_rates_back(model, tolerance):
    rates, curves = drawn(model)
    found = voxel_values(curves, FRAMES, SOURCE, options=ParametricOptions(model=model))
    for name in MAPS[model]:
        assert found[name] == pytest.approx(rates[name], rel=tolerance), name


@pytest.mark.parametrize("method", ["logan", "patlak", "ma1"])
def test_a_line_in_a_voxel_is_the_line_of_its_curve(method):
    _, curves = drawn("2tcm")
    name = next(iter(MAPS[method]))
    found = voxel_values(curves, FRAMES, SOURCE, options=ParametricOptions(model=method, vb=0.0))[name]
    lines = [fit_line(method, FRAMES, c.astype(float), SOURCE).value for c in curves[:20]]
    assert found[:20] == pytest.approx(lines, rel=1e-5)


def test_reference_maps_need_no_blood():
    reference = tissue_curve("1tcm", {"K1": 0.1, "k2": 0.08}, SOURCE, FRAMES, average=False)
    target = tissue_curve("1tcm", {"K1": 0.15, "k2": 0.04}, SOURCE, FRAMES, average=False)[None].astype(np.float32)
    seen = reference_input(TissueCurve(region="muscle", frames=FRAMES, activity=reference))
    found = voxel_values(target, FRAMES, seen, options=ParametricOptions(model="srtm"))
    assert found["BP_ND"][0] == pytest.approx(2.0, rel=0.03)
    assert found["R1"][0] == pytest.approx(1.5, rel=0.03)


def test_noise_leaves_the_mean_of_a_map_near_the_truth():
    curve = tissue_curve(
        "2tcm", {"K1": 0.2, "k2": 0.25, "k3": 0.12, "k4": 0.04}, SOURCE, FRAMES, vb=0.05, average=False
    )
    duration = np.asarray(FRAMES.duration_min)
    rng = np.random.default_rng(1)
    noisy = curve + 0.02 * curve.max() * rng.normal(size=(400, curve.size)) / np.sqrt(duration / 5.0)
    found = voxel_values(
        noisy.astype(np.float32), FRAMES, SOURCE, options=ParametricOptions(model="2tcm"), weights=duration
    )
    assert np.median(found["VT"]) == pytest.approx(3.2, rel=0.03)


def grid_of(shape):
    return Grid(shape=shape, affine=np.diag([4.0, 4.0, 4.0, 1.0]))


def test_maps_keep_the_grid_and_leave_out_what_is_outside():
    _, curves = drawn("1tcm")
    array = np.zeros((FRAMES.n, 2, 6, 20), dtype=np.float32)
    array[:, 0] = curves.T.reshape(FRAMES.n, 6, 20)
    maps = parametric_maps(array, grid_of((2, 6, 20)), FRAMES, SOURCE, options=ParametricOptions(model="logan"))
    assert np.isfinite(maps["VT"].values[0]).all()
    assert np.isnan(maps["VT"].values[1]).all()


def test_arrays_that_do_not_fit_and_empty_scans_are_refused():
    grid = grid_of((2, 2, 2))
    with pytest.raises(InputError, match="frames, slices"):
        parametric_maps(np.zeros((3, 2, 2, 2)), grid, FRAMES, SOURCE, options=ParametricOptions(model="logan"))
    with pytest.raises(NotComputable):
        parametric_maps(np.zeros((FRAMES.n, 2, 2, 2)), grid, FRAMES, SOURCE, options=ParametricOptions(model="logan"))
    with pytest.raises(InputError, match="one of"):
        parametric_maps(np.zeros((FRAMES.n, 2, 2, 2)), grid, FRAMES, SOURCE, options=ParametricOptions(model="tcm"))


def test_nifti_files_are_frames_in_the_order_of_their_numbers(tmp_path):
    grid = grid_of((1, 2, 2))
    for i in range(FRAMES.n):
        write_nifti(
            tmp_path / f"frame-{i}.nii.gz", Volume(values=np.full((1, 2, 2), i, np.float32), grid=grid, unit="kBq/ml")
        )
    found = read_dynamic(tmp_path, FRAMES, NoticeLog())
    assert found.activity[:, 0, 0, 0].tolist() == list(range(FRAMES.n))
    assert found.unit == "kBq/mL"
    (tmp_path / "frame-3.nii.gz").unlink()
    with pytest.raises(InputError, match="30, as the time-activity curves"):
        read_dynamic(tmp_path, FRAMES, NoticeLog())


LENGTHS_S = (10, 10, 20, 60, 120, 300)


def write_dynamic(tmp_path, lengths, *, own_start=False):
    """A series with several time points whose values tell them apart."""
    begin, first = 0, None
    for i, length in enumerate(lengths):
        part = make_pet_series(tmp_path / f"p{i}", values=np.full((3, 8, 8), 1000.0 * (i + 1)), unit="Bq/ml", seed=0)
        for j, path in enumerate(sorted(part.iterdir())):
            ds = pydicom.dcmread(path)
            if first is None:
                first = datetime.strptime(ds.AcquisitionDate + ds.AcquisitionTime[:6], "%Y%m%d%H%M%S")
            now = first + timedelta(seconds=begin)
            ds.AcquisitionDate, ds.AcquisitionTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
            ds.FrameReferenceTime, ds.ActualFrameDuration = (begin + length / 2) * 1000, length * 1000
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID[:50]}.{i}.{j}"
            ds.InstanceNumber = 10 * i + j + 1
            ds.DecayFactor = 1.05 if own_start else 2.0 ** (begin / 4062.6)
            ds.save_as(path)
        begin += length
    return tmp_path


@pytest.fixture
def dynamic_dicom(tmp_path):
    return write_dynamic(tmp_path, LENGTHS_S)


def frames_of(lengths):
    edges = np.cumsum([0, *lengths]) / 60.0
    return Frames.between(edges[:-1], edges[1:])


def test_a_dicom_series_with_time_points_is_read_in_their_order(dynamic_dicom):
    found = read_dynamic(dynamic_dicom, frames_of(LENGTHS_S), NoticeLog())
    assert found.activity[:, 1, 2, 3] == pytest.approx([1000, 2000, 3000, 4000, 5000, 6000])
    assert found.unit == "Bq/mL"


def test_images_of_other_frames_than_the_curves_are_refused(dynamic_dicom):
    """A curve and images of two reconstructions would give maps without a meaning."""
    with pytest.raises(InputError, match="start"):
        read_dynamic(dynamic_dicom, frames_of((10, 10, 20, 60, 240, 300)), NoticeLog())
    with pytest.raises(InputError, match="duration"):
        read_dynamic(dynamic_dicom, frames_of((10, 10, 20, 60, 120, 400)), NoticeLog())


def test_frames_that_were_each_corrected_to_their_own_start_are_refused(tmp_path):
    """DecayCorrection START does not say whether the scan or the frame is meant; equal factors half an hour apart do."""
    lengths = (300,) * 4
    with pytest.raises(NotComputable) as caught:
        read_dynamic(write_dynamic(tmp_path / "own", lengths, own_start=True), frames_of(lengths), NoticeLog())
    assert caught.value.code == "FRAMES_NOT_CORRECTED"
    assert (
        read_dynamic(write_dynamic(tmp_path / "scan", lengths), frames_of(lengths), NoticeLog()).activity.shape[0] == 4
    )
