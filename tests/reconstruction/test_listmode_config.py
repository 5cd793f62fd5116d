"""PET list mode from a TOML file: the image of the sinogram of the same counts, and lists that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from fusin.errors import FusinError
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import acquire
from fusin.reconstruction.checkpoints import read_checkpoint, write_checkpoint
from fusin.reconstruction.config import read_config
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.pet_corrections import attenuation_factors, over_timing_bins, untimed
from fusin.reconstruction.pet_events import read_events, sort_events
from fusin.reconstruction.pet_geometry import CylindricalScanner, SinogramGeometry, TofBins
from fusin.reconstruction.pet_interfile import write_sinogram
from fusin.reconstruction.run import run_reconstruction, settings_of

SINOGRAM = 'projections = "prompts.hs"'
LIST = 'events = "list.npz"\nscanner = "prompts.hs"'
CONFIG = f"""
modality = "pet"
[data]
{SINOGRAM}
[image]
shape = [7, 16, 16]
voxel_mm = 12
[attenuation]
mu_map = "mu.nii.gz"
[normalisation]
file = "norm.hs"
[randoms]
file = "randoms.hs"
[algorithm]
name = "mlem"
iterations = 4
[[region]]
name = "rod"
centre_mm = [36, 0, 0]
radius_mm = 24
"""


@dataclass
class Made:
    folder: object
    geometry: SinogramGeometry
    counts: np.ndarray
    crystals: np.ndarray
    rings: np.ndarray
    timing: np.ndarray | None

    def config(self, name, text):
        (self.folder / name).write_text(text)
        return read_config(self.folder / name)

    def write_list(self, name, **changes):
        # Files count rings from the head of a patient who lies head first.
        from_the_head = self.geometry.scanner.rings - 1 - self.rings
        arrays = {"crystals": self.crystals, "rings": from_the_head, "tof_bins": self.timing} | changes
        np.savez(self.folder / name, **{k: v for k, v in arrays.items() if v is not None})


def make(folder, *, tof=None, span=1):
    scanner = CylindricalScanner(crystals=48, rings=4, radius_mm=160.0, ring_pitch_mm=24.0)
    geometry = SinogramGeometry.of_span(scanner, bins=25, span=span, tof=tof)
    grid = geometry.grid(pixel_mm=12.0, columns=16)
    y, x = np.meshgrid(*[(np.arange(16) - 7.5) * 12.0] * 2, indexing="ij")
    body = np.broadcast_to(np.hypot(x, y) <= 80, grid.shape)
    image = np.where(body, 1.0, 0.0) + np.where(np.hypot(x - 36, y) <= 24, 4.0, 0.0)
    mu = Volume(values=np.where(body, 0.096, 0.0).astype(np.float32), grid=grid, unit="/cm")
    rng = np.random.default_rng(1)
    plain = untimed(geometry)
    norm = rng.uniform(0.6, 1.4, plain.data_shape).astype(np.float32)
    factors = norm * attenuation_factors(plain, mu)
    expected = PetSinogramProjector(geometry, grid, factors=factors).forward(image.astype(np.float32))
    scale = 60_000 / expected.sum()
    randoms = np.full(plain.data_shape, 0.3 * scale * expected.sum() / np.prod(plain.data_shape), np.float32)
    spread = randoms if tof is None else over_timing_bins(geometry, randoms)
    counts = rng.poisson(scale * expected + spread).astype(np.float32)
    write_sinogram(folder / "prompts.hs", geometry, counts)
    write_sinogram(folder / "norm.hs", plain, norm)
    write_sinogram(folder / "randoms.hs", plain, randoms)
    write_nifti(folder / "mu.nii.gz", mu)
    return Made(folder, geometry, counts, *listed(geometry, counts, rng))


def listed(geometry, counts, rng):
    """Each count as an event in random order, every other pair the other way round, by rings that the plane adds."""
    held = counts if geometry.tof is None else counts.swapaxes(1, 2).swapaxes(2, 3)
    events = np.repeat(np.argwhere(held > 0), held[held > 0].astype(int), axis=0)
    rng.shuffle(events)
    planes, pairs = geometry.ring_pairs
    first = np.searchsorted(planes, np.arange(geometry.planes))
    ring = pairs[first[events[:, 2]] + rng.integers(0, geometry.pairs_per_plane[events[:, 2]])]
    crystal = geometry.crystal_pairs[events[:, 0], events[:, 1], 0]
    timing = None if geometry.tof is None else events[:, 3].copy()
    crystal[::2], ring[::2] = crystal[::2, ::-1].copy(), ring[::2, ::-1].copy()
    if timing is not None:
        timing[::2] = geometry.tof.count - 1 - timing[::2]
    return crystal, ring, timing


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    made = make(tmp_path_factory.mktemp("list"))
    made.write_list("list.npz")
    return made


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    made = make(tmp_path_factory.mktemp("timed"), tof=TofBins(count=5, width_ps=500.0, resolution_ps=600.0))
    made.write_list("list.npz")
    return made


def run(made, text, log=None, **more):
    config = made.config("c.toml", text)
    return run_reconstruction(config, acquire(config, log=log or NoticeLog()), log=NoticeLog(), **more)


@pytest.mark.parametrize("which", ["plain", "timed"])
def test_a_list_gives_the_image_of_its_sinogram(request, which):
    """MLEM sums over bins or over events: the same numbers in another order, in float32."""
    made = request.getfixturevalue(which)
    by_bins, by_events = run(made, CONFIG), run(made, CONFIG.replace(SINOGRAM, LIST))
    assert by_events.acquired.measured.total_counts == by_bins.acquired.measured.total_counts
    np.testing.assert_allclose(
        by_events.image.values, by_bins.image.values, rtol=2e-4, atol=2e-5 * by_bins.image.values.max()
    )
    assert by_events.acquired.measured.expected_additive == pytest.approx(
        by_bins.acquired.measured.expected_additive, rel=1e-6
    )


def test_planes_of_several_ring_pairs_share_their_randoms(tmp_path):
    made = make(tmp_path, span=3)
    made.write_list("list.npz")
    by_bins, by_events = run(made, CONFIG), run(made, CONFIG.replace(SINOGRAM, LIST))
    events = sort_events(made.geometry, made.crystals, made.rings)
    plane = events.bins % made.geometry.planes
    share = by_bins.acquired.measured.additive[0, 0, plane] / made.geometry.pairs_per_plane[plane]
    np.testing.assert_allclose(by_events.acquired.measured.additive, share, rtol=1e-6)
    # Each event keeps its own pair of rings, where a plane stands for their mean.
    assert by_events.image.values.sum() == pytest.approx(by_bins.image.values.sum(), rel=0.02)
    assert by_events.regions[0].mean.value == pytest.approx(by_bins.regions[0].mean.value, rel=0.05)


def test_subsets_of_events_lead_to_nearly_the_same_image(plain):
    text = CONFIG.replace('name = "mlem"\niterations = 4', "iterations = 1\nsubsets = 4").replace(SINOGRAM, LIST)
    four, one = run(plain, text), run(plain, CONFIG.replace(SINOGRAM, LIST))
    assert four.regions[0].mean.value == pytest.approx(one.regions[0].mean.value, rel=0.05)
    assert four.image.values.sum() == pytest.approx(one.image.values.sum(), rel=0.02)


def test_a_list_goes_on_from_its_checkpoint_bit_for_bit_and_not_from_another(plain, tmp_path):
    text = CONFIG.replace(SINOGRAM, LIST)
    half = run(plain, text.replace("iterations = 4", "iterations = 2"))
    write_checkpoint(tmp_path / "c.npz", half.result.state, settings_of(half.config, half.acquired))
    whole = run(plain, text)
    state = read_checkpoint(tmp_path / "c.npz", settings_of(whole.config, whole.acquired))
    np.testing.assert_array_equal(run(plain, text, state=state).image.values, whole.image.values)
    plain.write_list("turned.npz", crystals=plain.crystals[::-1], rings=plain.rings)
    other = plain.config("c.toml", text.replace("list.npz", "turned.npz"))
    with pytest.raises(FusinError, match="events"):
        read_checkpoint(tmp_path / "c.npz", settings_of(other, acquire(other, log=NoticeLog())))


def test_the_bootstrap_draws_events(plain):
    text = CONFIG.replace(SINOGRAM, LIST).replace("iterations = 4", "iterations = 1") + "[bootstrap]\nreplicates = 3\n"
    found = run(plain, text)
    assert found.sd is not None
    assert 0 < found.sd.values.mean() < found.image.values.mean()


def test_delayed_events_of_the_list_give_the_randoms(plain):
    rng = np.random.default_rng(2)
    crystals = rng.integers(0, 48, (40_000, 2))
    plain.write_list("delayed.npz", delayed_crystals=crystals, delayed_rings=rng.integers(0, 4, (40_000, 2)))
    text = (
        CONFIG.replace(SINOGRAM, LIST)
        .replace("list.npz", "delayed.npz")
        .replace('file = "randoms.hs"', 'delayed = "delayed.npz"')
    )
    log = NoticeLog()
    measured = acquire(plain.config("c.toml", text), log=log).measured
    assert [m.id for m in acquire(plain.config("c.toml", text), log=NoticeLog()).methods] == [
        "joseph",
        "list-mode",
        "randoms-from-delayed",
    ]
    kept = 40_000 - next(n.raw for n in log if n.code == "EVENTS_LEFT_OUT")
    assert measured.expected_additive == pytest.approx(kept, rel=1e-3)
    a, b = (measured.redrawn(np.random.default_rng(s)).additive for s in (1, 2))
    assert not np.array_equal(a, b)


def test_events_are_sorted_into_the_bins_of_their_pairs(timed):
    events = sort_events(timed.geometry, timed.crystals, timed.rings, timed.timing)
    np.testing.assert_array_equal(events.histogram(), timed.counts)
    middle = 0.5 * (events.ends_mm(0) + events.ends_mm(1))
    assert np.abs(np.linalg.norm(events.ends_mm(0)[:, :2], axis=1) - 160.0).max() < 1e-9
    assert np.abs(middle[:, 2]).max() <= 36.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"crystals": None}, "crystals and rings"),
        ({"rings": np.zeros((3, 2), int)}, "crystals and rings"),
        ({"crystals": np.zeros((5, 3), int), "rings": np.zeros((5, 2), int)}, "shape"),
        ({"crystals": np.full((5, 2), 1.5), "rings": np.zeros((5, 2), int)}, "whole numbers"),
        ({"crystals": np.full((5, 2), 48), "rings": np.zeros((5, 2), int)}, "0 to 47"),
        ({"crystals": np.full((5, 2), -1), "rings": np.zeros((5, 2), int)}, "0 to 47"),
        ({"crystals": np.zeros((5, 2), int), "rings": np.zeros((5, 2), int)}, "within the sinogram"),
        ({"crystals": np.zeros((0, 2), int), "rings": np.zeros((0, 2), int)}, "within the sinogram"),
        ({"duration_s": np.array(-1.0)}, "duration_s"),
        ({"duration_s": np.array(["a"])}, "duration_s"),
    ],
)
def test_each_wrong_list_gets_one_sentence(plain, change, words):
    plain.write_list("wrong.npz", **change)
    with pytest.raises(FusinError, match=words) as caught:
        run(plain, CONFIG.replace(SINOGRAM, LIST).replace("list.npz", "wrong.npz"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('events = "list.npz"', "header of the scanner"),
        (LIST + '\nprojections = "prompts.hs"', "one of them"),
        ("", "one of them"),
        ('events = "list.npz"\nscanner = "mu.nii.gz"', "mu.nii.gz"),
        ('events = "mu.nii.gz"\nscanner = "prompts.hs"', "PETSIRD file describes its scanner"),
        ('events = "cut.npz"\nscanner = "prompts.hs"', "damaged"),
        ('events = "object.npz"\nscanner = "prompts.hs"', "damaged"),
    ],
)
def test_each_wrong_table_of_data_gets_one_sentence(plain, data, words):
    (plain.folder / "cut.npz").write_bytes((plain.folder / "list.npz").read_bytes()[:5000])
    np.savez(plain.folder / "object.npz", crystals=np.array([{}], dtype=object))
    with pytest.raises(FusinError, match=words) as caught:
        run(plain, CONFIG.replace(SINOGRAM, data))
    assert "\n" not in str(caught.value)


def test_a_timed_list_needs_the_timing_bins_of_its_header(timed, plain):
    timed.write_list("untimed.npz", tof_bins=None)
    with pytest.raises(FusinError, match="timing bin of each"):
        run(timed, CONFIG.replace(SINOGRAM, LIST).replace("list.npz", "untimed.npz"))
    plain.write_list("timed.npz", tof_bins=np.zeros(len(plain.crystals), int))
    log = NoticeLog()
    acquire(plain.config("c.toml", CONFIG.replace(SINOGRAM, LIST).replace("list.npz", "timed.npz")), log=log)
    assert "EVENTS_UNTIMED" in [n.code for n in log]


def test_damaged_lists_never_end_in_a_traceback(plain):
    whole = (plain.folder / "list.npz").read_bytes()
    rng = np.random.default_rng(5)
    refused = []
    for _ in range(200):
        data = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.3 else whole)
        # The names, types and shapes of the arrays stand in the first bytes of each.
        for place in rng.integers(0, min(len(data), 400), 3):
            data[place] = rng.integers(256)
        (plain.folder / "damaged.npz").write_bytes(data)
        try:
            read_events(plain.folder / "damaged.npz", plain.geometry, log=NoticeLog())
        except FusinError as err:
            refused.append(str(err))
    assert len(refused) > 100
    assert not any("\n" in sentence for sentence in refused)


def test_another_timing_resolution_is_another_reconstruction(timed):
    header = (timed.folder / "prompts.hs").read_text()
    assert "resolution (ps) := 600.0" in header
    (timed.folder / "slow.hs").write_text(header.replace("resolution (ps) := 600.0", "resolution (ps) := 900.0"))
    texts = (CONFIG, CONFIG.replace("prompts.hs", "slow.hs"))
    configs = [timed.config(f"t{k}.toml", text) for k, text in enumerate(texts)]
    one, other = (settings_of(c, acquire(c, log=NoticeLog())) for c in configs)
    assert {k for k in one if one[k] != other[k]} == {"timing"}
