"""PETSIRD list mode: places of crystals, events, efficiencies, sensitivity; and files that are none."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import FusinError, InputError, MissingExtra, Unsupported
from fusin.imaging.volume import Grid
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import acquire
from fusin.reconstruction.config import read_config
from fusin.reconstruction.pet import ListmodeProjector
from fusin.reconstruction.petsird_files import PetsirdScanner, randoms_of_pairs, read_petsird, sampled_sensitivity
from fusin.reconstruction.run import run_reconstruction


def ring(modules=16, per=3, radius=100.0):
    angle = 2 * np.pi * np.arange(modules * per) / (modules * per)
    places = np.stack([radius * np.sin(angle), -radius * np.cos(angle), 0.2 * (np.arange(modules * per) % per - 1)], 1)
    groups = np.zeros((modules, modules), np.intp)
    np.fill_diagonal(groups, -1)
    rng = np.random.default_rng(0)
    return PetsirdScanner(
        places, rng.uniform(0.5, 1.5, modules * per), groups, rng.uniform(0.5, 1.5, (1, per, per)), per, "ring"
    )


def test_the_sampled_sensitivity_is_that_of_all_pairs():
    scanner = ring()
    grid = Grid(
        shape=(1, 6, 6), affine=np.array([[20.0, 0, 0, -50], [0, 20.0, 0, -50], [0, 0, 9.0, 0], [0, 0, 0, 1.0]])
    )
    one, two = np.tril_indices(48, -1)
    factors = scanner.pair_efficiencies(one, two)
    assert (factors[one // 3 == two // 3] == 0).all()
    every = ListmodeProjector(scanner.places_mm[one], scanner.places_mm[two], grid, factors=factors,
                              sensitivity_image=np.ones(grid.shape, np.float32))  # fmt: skip
    exact = every.back(np.ones(len(one), np.float32))
    whole, noise = sampled_sensitivity(scanner, grid, rng=np.random.default_rng(1))
    np.testing.assert_allclose(whole, exact, rtol=1e-5)
    assert noise == 0.0
    found, _ = sampled_sensitivity(scanner, grid, rng=np.random.default_rng(1), pairs=1000)
    np.testing.assert_allclose(found.sum(), exact.sum(), rtol=0.1)
    assert np.abs(found / exact - 1).max() > 1e-3


def write_petsird(petsird, path, *, events, types=1, edges=(-45.0, -15.0, 15.0, 45.0), delayed=(), modules=8):
    """A ring of modules of 2 x 1 boxes of 10 x 4 x 6 mm at a radius of 50 mm, with one list of prompts."""
    box = [petsird.Coordinate(c=np.array((x, y, z), np.float32)) for x in (0, 10) for y in (0, 4) for z in (0, 6)]
    crystal = petsird.BoxSolidVolume(shape=petsird.BoxShape(corners=box), material_id=1)
    shifts = [np.array([[1, 0, 0, 50], [0, 1, 0, y], [0, 0, 1, -3]], np.float32) for y in (-4, 0)]
    elements = petsird.ReplicatedBoxSolidVolume(
        object=crystal, transforms=[petsird.RigidTransformation(matrix=m) for m in shifts]
    )
    module = petsird.DetectorModule(detecting_elements=elements)
    turns = []
    for k in range(modules):
        c, s = np.cos(2 * k * np.pi / modules), np.sin(2 * k * np.pi / modules)
        turns.append(
            petsird.RigidTransformation(matrix=np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0]], np.float32))
        )
    replicated = petsird.ReplicatedDetectorModule(object=module, transforms=turns)
    pair = [[petsird.BinEdges(edges=np.array(edges, np.float32))] * (i + 1) for i in range(types)]
    scanner = petsird.ScannerInformation(
        model_name="eight",
        scanner_geometry=petsird.ScannerGeometry(replicated_modules=[replicated] * types),
        tof_bin_edges=pair,
        tof_resolution=[[58.0] * (i + 1) for i in range(types)],
        event_energy_bin_edges=[petsird.BinEdges(edges=np.array([430.0, 650.0], np.float32))] * types,
        energy_resolution_at_511=[0.1] * types,
        prompt_event_policy=petsird.CoincidencePolicy.REJECT_HIGHER_MULTIPLES,
    )
    held = [petsird.CoincidenceEvent(detection_bins=[a, b], tof_idx=t) for a, b, t in events]
    late = [petsird.CoincidenceEvent(detection_bins=[a, b], tof_idx=t) for a, b, t in delayed]
    lists = [[held if (i, j) == (0, 0) else [] for j in range(i + 1)] for i in range(types)]
    block = petsird.EventTimeBlock(time_interval=petsird.TimeInterval(start=0, stop=2500), prompt_events=lists,
                                   delayed_events=[[late]] if delayed else None)  # fmt: skip
    with petsird.BinaryPETSIRDWriter(str(path)) as writer:
        writer.write_header(petsird.Header(scanner=scanner))
        writer.write_time_blocks([petsird.TimeBlock.EventTimeBlock(block)])


@pytest.fixture(scope="module")
def petsird():
    return pytest.importorskip("petsird", reason="the package petsird is not installed")


def test_events_lie_between_the_middles_of_their_crystals(tmp_path, petsird):
    write_petsird(petsird, tmp_path / "a.petsird", events=[(8, 0, 2), (15, 3, 0)])
    found = read_petsird(tmp_path / "a.petsird", log=NoticeLog())
    # Bin 0: module 0 at 0 degrees, crystal at y = -2; bin 8: module 4, turned by 180 degrees.
    np.testing.assert_allclose(found.starts_mm[0], [-55.0, 2.0, 0.0], atol=1e-4)
    np.testing.assert_allclose(found.ends_mm[0], [55.0, -2.0, 0.0], atol=1e-4)
    assert found.tof_bins.tolist() == [2, 0]
    assert found.duration_s == 2.5
    assert found.tof.count == 3
    np.testing.assert_allclose(found.tof.edges_mm, [-45, -15, 15, 45], rtol=1e-5)
    assert found.tof.sigma_mm * 2.35482 == pytest.approx(58.0, rel=1e-5)
    np.testing.assert_array_equal(found.efficiencies, 1.0)


CONFIG = """
modality = "pet"
[data]
events = "list.petsird"
[image]
shape = [1, 8, 8]
voxel_mm = 6
[randoms]
delayed = "list.petsird"
[algorithm]
name = "mlem"
iterations = 5
"""


@pytest.fixture
def listed(tmp_path, petsird):
    """A disc beside the axis, randoms of unequal singles, and delayed coincidences of the same."""
    write_petsird(petsird, tmp_path / "list.petsird", events=[(8, 0, 0)], edges=(-60.0, 60.0), modules=24)
    scanner = read_petsird(tmp_path / "list.petsird", log=NoticeLog()).scanner
    one, two = np.tril_indices(48, -1)
    apart = one // 2 != two // 2
    one, two = one[apart], two[apart]
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[:3, 3] = [-21.0, -21.0, 0.0]
    grid = Grid(shape=(1, 8, 8), affine=affine)
    y, x = np.meshgrid(*[(np.arange(8) - 3.5) * 6.0] * 2, indexing="ij")
    image = (np.hypot(x - 5, y) < 14)[None].astype(np.float32)
    every = ListmodeProjector(scanner.places_mm[one], scanner.places_mm[two], grid, sensitivity_image=image)
    rng = np.random.default_rng(4)
    singles = rng.uniform(0.5, 1.5, 48)
    product = 4 * singles[one] * singles[two]
    scale = 20_000 / every.forward(image).sum()
    events, late = (
        np.repeat(np.arange(len(one)), rng.poisson(m)) for m in (scale * every.forward(image) + product, product)
    )
    prompts, delayed = ([(int(one[i]), int(two[i]), 0) for i in found] for found in (events, late))
    write_petsird(petsird, tmp_path / "list.petsird", edges=(-60.0, 60.0), modules=24, events=prompts, delayed=delayed)
    (tmp_path / "c.toml").write_text(CONFIG)
    return tmp_path, scale * image, late


def test_a_petsird_file_is_reconstructed_with_the_randoms_of_its_delayed_events(listed):
    folder, truth, late = listed
    config = read_config(folder / "c.toml")
    acquired = acquire(config, log=NoticeLog())
    run = run_reconstruction(config, acquired, log=NoticeLog())
    assert acquired.measured.expected_additive == len(late)
    assert run.image.values.sum() == pytest.approx(truth.sum(), rel=0.03)
    middle = [float((run.image.values[0] * np.indices((8, 8))[k]).sum() / run.image.values.sum()) for k in (0, 1)]
    true = [float((truth[0] * np.indices((8, 8))[k]).sum() / truth.sum()) for k in (0, 1)]
    np.testing.assert_allclose(middle, true, atol=0.2)


def test_randoms_of_a_pair_follow_the_singles_of_its_crystals(listed):
    folder, _, late = listed
    prompts = read_petsird(folder / "list.petsird", log=NoticeLog())
    delayed = read_petsird(folder / "list.petsird", log=NoticeLog(), kind="delayed")
    found = randoms_of_pairs(prompts, delayed)
    singles = np.random.default_rng(4).uniform(0.5, 1.5, 48)
    expected = 4 * singles[prompts.bins[:, 0]] * singles[prompts.bins[:, 1]]
    assert np.corrcoef(found.values, expected)[0, 1] > 0.9
    assert found.values.mean() == pytest.approx(expected.mean(), rel=0.05)
    assert len(late) == found.total


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('events = "list.petsird"', 'events = "list.petsird"\nscanner = "c.toml"', "describes its scanner"),
        ("[randoms]", "[normalisation]\nfile = 'c.toml'\n[randoms]", "normalisation"),
        ("[randoms]", "[scatter]\nmethod = 'simulated'\n[randoms]", "scatter"),
        ('delayed = "list.petsird"', 'delayed = "c.toml"', "whole binary PETSIRD"),
        ('delayed = "list.petsird"', 'file = "c.toml"', "delayed coincidences"),
    ],
)
def test_each_mistake_about_petsird_gets_one_sentence(listed, before, after, words):
    assert before in CONFIG
    (listed[0] / "d.toml").write_text(CONFIG.replace(before, after))
    with pytest.raises(FusinError, match=words) as caught:
        acquire(read_config(listed[0] / "d.toml"), log=NoticeLog())
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_used_are_refused_in_one_sentence(tmp_path, petsird):
    write_petsird(petsird, tmp_path / "a.petsird", events=[(8, 0, 2)] * 50)
    whole = (tmp_path / "a.petsird").read_bytes()
    for k, part in enumerate((whole[:-20], whole[: len(whole) // 2], b"", b"not a PETSIRD file at all")):
        path = tmp_path / f"{k}.petsird"
        path.write_bytes(part)
        with pytest.raises(InputError, match="whole binary PETSIRD file"):
            read_petsird(path, log=NoticeLog())
    write_petsird(petsird, tmp_path / "b.petsird", events=[(99, 0, 2)])
    with pytest.raises(InputError, match="do not exist"):
        read_petsird(tmp_path / "b.petsird", log=NoticeLog())
    write_petsird(petsird, tmp_path / "c.petsird", events=[(8, 0, 2)], types=2)
    with pytest.raises(Unsupported, match="2 types"):
        read_petsird(tmp_path / "c.petsird", log=NoticeLog())
    write_petsird(petsird, tmp_path / "d.petsird", events=[(8, 0, 2)], edges=(-45, -15, 15, 60))
    with pytest.raises(Unsupported, match="uneven"):
        read_petsird(tmp_path / "d.petsird", log=NoticeLog())


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "petsird", None)
    with pytest.raises(MissingExtra, match=r"fusin\[petsird\]"):
        read_petsird(tmp_path / "a.petsird", log=NoticeLog())
