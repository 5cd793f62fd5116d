"""PET list mode in PETSIRD files: events as lines, with their timing bins and efficiencies, and the sensitivity of the scanner.

A crystal's place is the middle of its box, moved by the transforms of crystal and module and by the alignment of the gantry. Timing
bins are those of ``(t1 - t2) c / 2`` for the arrival at the first and the second crystal: positive is nearer to the second. The
calibration factor of the file is left to the calibration step.

References
----------
Emission Tomography Standardization Initiative, PETSIRD, https://etsinitiative.org (package ``petsird``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, MissingExtra, NotComputable, Unsupported
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.data import Redraw
from fusin.reconstruction.pet import ListmodeProjector
from fusin.reconstruction.pet_geometry import LIGHT_MM_PER_PS, TofBins
from fusin.reconstruction.projector import FloatImage
from fusin.reconstruction.resolution import ImageResolution

__all__ = [
    "PetsirdEvents",
    "PetsirdRandoms",
    "PetsirdScanner",
    "attenuation_of_lines",
    "randoms_of_pairs",
    "read_petsird",
    "sampled_sensitivity",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
_UNEVEN = 1e-3
_AT_ONCE = 1_000_000
_ROUNDS, _SETTLED = 200, 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class PetsirdScanner:
    """Detection bins of one type of module that is in coincidence with itself.

    Attributes
    ----------
    places_mm : (bins, 3)
    efficiencies : (bins,)
    groups : (modules, modules) symmetry group of a pair, -1 where it is not in coincidence
    of_groups : (groups, bins of a module, bins of a module) efficiencies of pairs; empty for 1
    per_module : detection bins of a module
    name : of the model
    """

    places_mm: FloatArray
    efficiencies: FloatArray
    groups: IntArray
    of_groups: FloatArray
    per_module: int
    name: str

    def pair_efficiencies(self, first: IntArray, second: IntArray) -> FloatArray:
        """Return the efficiency of pairs of detection bins; 0 where their modules are not in coincidence."""
        m1, i1 = np.divmod(first, self.per_module)
        m2, i2 = np.divmod(second, self.per_module)
        group = self.groups[m1, m2]
        shared = self.of_groups[np.maximum(group, 0), i1, i2] if self.of_groups.size else 1.0
        found = np.where(group >= 0, self.efficiencies[first] * self.efficiencies[second] * shared, 0.0)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PetsirdEvents:
    """Events of one kind.

    Attributes
    ----------
    bins : (events, 2) detection bins
    tof_bins : (events,) index of the timing bin; None without time of flight
    tof : its bins; None without
    scanner : what detected them
    duration_s : sum of all time blocks
    """

    bins: IntArray
    tof_bins: IntArray | None
    tof: TofBins | None
    scanner: PetsirdScanner
    duration_s: float

    @property
    def starts_mm(self) -> FloatArray:
        """(events, 3) places of the first crystals."""
        return np.asarray(self.scanner.places_mm[self.bins[:, 0]], dtype=np.float64)

    @property
    def ends_mm(self) -> FloatArray:
        """(events, 3) places of the second crystals."""
        return np.asarray(self.scanner.places_mm[self.bins[:, 1]], dtype=np.float64)

    @property
    def efficiencies(self) -> FloatArray:
        """(events,) efficiencies of the pairs."""
        return self.scanner.pair_efficiencies(self.bins[:, 0], self.bins[:, 1])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PetsirdRandoms:
    """Expected randoms at the prompts, over all pairs and timing bins together, and how to draw the former anew."""

    values: FloatImage
    total: float
    redraw: Redraw


def read_petsird(path: Path, *, log: NoticeLog, kind: Literal["prompts", "delayed"] = "prompts") -> PetsirdEvents:
    """Read the coincidences of a binary PETSIRD file.

    Parameters
    ----------
    path : of the file
    log : receives notices
    kind : which events

    Raises
    ------
    MissingExtra
        Without the package ``petsird``.
    InputError
        For a file that is damaged, truncated, or of another kind, and events of crystals that do not exist.
    Unsupported
        For several types of modules, moving ones, or uneven timing bins.
    NotComputable
        Without events.
    """
    header, pairs, moved, duration_ms = _coincidences(path, kind)
    types = len(header.scanner_geometry.replicated_modules)
    if types != 1 or moved:
        what = "moves bed or gantry" if moved else f"has {types} types of modules"
        raise Unsupported(
            "a PET reconstruction",
            f"the scanner of {path.name} {what}",
            "one type of module at rest",
            "PETSIRD_SCANNER",
        )
    if not pairs:
        raise NotComputable(
            "a PET reconstruction", f"{path.name} holds no {kind}", "list-mode coincidences", "PETSIRD_NO_EVENTS"
        )
    scanner = _scanner(header)
    tof = _tof(header, path.name)
    found = np.array(pairs, dtype=np.intp)
    if found[:, :2].max() >= len(scanner.places_mm) or (tof is not None and found[:, 2].max() >= tof.count):
        raise InputError(
            path.name, "events", "crystals or timing bins that do not exist", f"{len(scanner.places_mm)} detection bins"
        )
    log.adapted("SINOGRAM_AXES_ASSUMED", "the gantry's axes were taken as those of the image: where the patient lay was not used",
                where=path.name)  # fmt: skip
    return PetsirdEvents(bins=found[:, :2], tof_bins=None if tof is None else found[:, 2], tof=tof, scanner=scanner,
                         duration_s=duration_ms / 1000.0)  # fmt: skip


def _coincidences(path: Path, kind: str) -> tuple[Any, list[tuple[int, ...]], bool, int]:
    """Header of the scanner, (first bin, second bin, timing bin) of each event, whether anything moved, and the time [ms]."""
    try:
        import petsird
    except ImportError as err:
        raise MissingExtra("petsird", "petsird", "reading PETSIRD list mode") from err
    pairs: list[tuple[int, ...]] = []
    duration_ms, moved = 0, False
    moves = (petsird.TimeBlock.BedMovementTimeBlock, petsird.TimeBlock.GantryMovementTimeBlock)
    try:
        with path.open("rb") as stream, petsird.BinaryPETSIRDReader(stream) as reader:
            header = reader.read_header().scanner
            for block in reader.read_time_blocks():
                moved = moved or isinstance(block, moves)
                if not isinstance(block, petsird.TimeBlock.EventTimeBlock):
                    continue
                duration_ms += block.value.time_interval.stop - block.value.time_interval.start
                lists = block.value.prompt_events if kind == "prompts" else block.value.delayed_events
                for event in lists[0][0] if lists else ():
                    pairs.append((*event.detection_bins, event.tof_idx))
    except Exception as err:
        # The package raises errors of many kinds for bytes that are no PETSIRD.
        raise InputError(
            path.name, "PETSIRD", f"{type(err).__name__}: {err}"[:120], "a whole binary PETSIRD file"
        ) from err
    return header, pairs, moved, duration_ms


def _scanner(header: Any) -> PetsirdScanner:
    """Places and efficiencies from the header of the file."""
    modules = header.scanner_geometry.replicated_modules[0]
    elements = modules.object.detecting_elements
    energies = header.event_energy_bin_edges[0].number_of_bins()
    middle = np.append(np.mean([c.c for c in elements.object.shape.corners], axis=0), 1.0)
    inside = np.array([t.matrix @ middle for t in elements.transforms], dtype=float)
    inside = np.column_stack([inside, np.ones(len(inside))])
    places = np.concatenate([inside @ np.asarray(t.matrix, dtype=float).T for t in modules.transforms])
    if header.gantry_alignment is not None:
        places = (
            np.column_stack([places, np.ones(len(places))]) @ np.asarray(header.gantry_alignment.matrix, dtype=float).T
        )
    places = np.repeat(places, energies, axis=0)
    held = header.detection_efficiencies
    bins = held.detection_bin_efficiencies
    efficiencies = np.asarray(bins[0], dtype=float) if bins and len(bins[0]) else np.ones(len(places))
    count = len(modules.transforms)
    groups = np.zeros((count, count), np.intp)
    np.fill_diagonal(groups, -1)
    if held.module_pair_sgidlut and len(held.module_pair_sgidlut[0]):
        for i, row in enumerate(held.module_pair_sgidlut[0][0]):
            for j, value in enumerate(row):
                groups[i, j] = groups[j, i] = value
    vectors = held.module_pair_efficiencies_vectors
    listed = vectors[0][0] if vectors and len(vectors[0]) else []
    of_groups = np.zeros((0, 0, 0))
    if listed:
        of_groups = np.array([g.values for g in sorted(listed, key=lambda g: int(g.sgid))], dtype=float)
    return PetsirdScanner(
        places, efficiencies, groups, of_groups, len(elements.transforms) * energies, header.model_name
    )


def _tof(header: Any, where: str) -> TofBins | None:
    edges = np.asarray(header.tof_bin_edges[0][0].edges, dtype=float)
    if edges.size <= 2:
        return None
    width = float(edges[-1] - edges[0]) / (edges.size - 1)
    if (
        width <= 0
        or np.abs(np.diff(edges) - width).max() > _UNEVEN * width
        or abs(edges[0] + edges[-1]) > _UNEVEN * width
    ):
        raise Unsupported("time of flight", f"the timing bins of {where} are uneven or not about 0", "equal bins about 0",
                          "PETSIRD_TIMING")  # fmt: skip
    per_mm = 2.0 / LIGHT_MM_PER_PS
    return TofBins(
        count=edges.size - 1, width_ps=width * per_mm, resolution_ps=float(header.tof_resolution[0][0]) * per_mm
    )


def attenuation_of_lines(starts_mm: FloatArray, ends_mm: FloatArray, mu: Volume) -> FloatImage:
    """Return the attenuation factor of each line (events,) for coefficients in 1/cm."""
    ones = np.ones(mu.grid.shape, np.float32)
    lines = ListmodeProjector(starts_mm, ends_mm, mu.grid, sensitivity_image=ones)
    return np.asarray(np.exp(-0.1 * lines.forward(np.asarray(mu.values, dtype=np.float32))), dtype=np.float32)


def sampled_sensitivity(
    scanner: PetsirdScanner, grid: Grid, *, rng: np.random.Generator, pairs: int = 5_000_000, mu: Volume | None = None,
    resolution: ImageResolution | None = None,
) -> tuple[FloatImage, float]:  # fmt: skip
    """Sensitivity of all pairs of crystals from a random sample of them.

    Parameters
    ----------
    scanner : of the events
    grid : of the image
    rng : draws the sample
    pairs : how many; where the scanner has no more, each stands once. The relative noise of a voxel falls with their square root
    mu : coefficient of attenuation [1/cm]; None for none
    resolution : as of the projector

    Returns
    -------
    tuple
        The image, and the relative standard deviation of a voxel by the sample, from its two halves; 0 without a sample.

    Raises
    ------
    NotComputable
        Where no two modules are in coincidence.
    """
    first, second = np.nonzero(np.tril(scanner.groups >= 0))
    if not len(first):
        raise NotComputable(
            "the sensitivity", "no two modules are in coincidence", "a table of module pairs", "PETSIRD_SCANNER"
        )
    each = scanner.per_module**2
    whole = len(first) * each <= pairs
    count = len(first) * each if whole else pairs
    halves = np.zeros((2, *grid.shape), np.float64)
    for number, start in enumerate(range(0, count, _AT_ONCE)):
        size = min(_AT_ONCE, count - start)
        if whole:
            module, inside = np.divmod(np.arange(start, start + size), each)
            i, j = np.divmod(inside, scanner.per_module)
        else:
            module = rng.integers(0, len(first), size)
            i, j = (rng.integers(0, scanner.per_module, size) for _ in range(2))
        one, two = first[module] * scanner.per_module + i, second[module] * scanner.per_module + j
        starts, ends = scanner.places_mm[one], scanner.places_mm[two]
        # A module in coincidence with itself brings each of its pairs twice.
        factors = scanner.pair_efficiencies(one, two) * np.where(first[module] == second[module], 0.5, 1.0)
        if mu is not None:
            factors = factors * attenuation_of_lines(starts, ends, mu)
        halves[number % 2] += ListmodeProjector(starts, ends, grid, sensitivity_image=np.ones(grid.shape, np.float32),
                                                factors=factors).back(np.ones(size, np.float32))  # fmt: skip
    found = (halves.sum(axis=0) * (len(first) * each / count)).astype(np.float32)
    noise = 0.0
    if not whole and count >= 2 * _AT_ONCE:
        seen = halves.sum(axis=0) > 0.05 * halves.sum(axis=0).max()
        noise = float(np.sqrt(np.mean(((halves[0] - halves[1])[seen] / halves.sum(axis=0)[seen]) ** 2)))
    return found if resolution is None else resolution.blur(found, np.array(grid.spacing_mm)), noise


def randoms_of_pairs(prompts: PetsirdEvents, delayed: PetsirdEvents) -> PetsirdRandoms:
    """Expected randoms at the prompts from the singles of each crystal that explain delayed coincidences best.

    The delayed coincidences of crystal i are expected to be ``s_i`` times the sum of s over all crystals of modules in coincidence
    with its own; s is scaled with the root of measured over expected until they agree, as for sinograms.

    Parameters
    ----------
    prompts, delayed : of one scanner
    """
    scanner = prompts.scanner
    bins = len(scanner.places_mm)
    counted = np.bincount(delayed.bins.ravel(), minlength=bins).astype(np.float64)
    timing = 1 if prompts.tof is None else prompts.tof.count

    def at_prompts(of_crystals: FloatArray) -> FloatImage:
        singles = _singles(scanner, of_crystals)
        found = singles[prompts.bins[:, 0]] * singles[prompts.bins[:, 1]] / timing
        return np.asarray(found, dtype=np.float32)

    def redraw(rng: np.random.Generator) -> FloatImage:
        drawn = delayed.bins[rng.integers(0, len(delayed.bins), int(rng.poisson(len(delayed.bins))))]
        return at_prompts(np.bincount(drawn.ravel(), minlength=bins).astype(np.float64))

    return PetsirdRandoms(values=at_prompts(counted), total=float(len(delayed.bins)), redraw=redraw)


def _singles(scanner: PetsirdScanner, counted: FloatArray) -> FloatArray:
    """(bins,) s, for the delayed coincidences that each detection bin took part in."""
    partners = (scanner.groups >= 0).astype(np.float64)
    pairs = 0.5 * partners.sum() * scanner.per_module**2
    singles = np.where(counted > 0, np.sqrt(0.5 * counted.sum() / max(pairs, 1.0)), 0.0)
    for _ in range(_ROUNDS):
        of_modules = singles.reshape(-1, scanner.per_module).sum(axis=1)
        expected = singles * np.repeat(partners @ of_modules, scanner.per_module)
        ratio = np.divide(counted, expected, out=np.ones_like(counted), where=expected > 0)
        singles = singles * np.sqrt(ratio)
        if np.abs(ratio - 1.0).max(initial=0.0) < _SETTLED:
            break
    return np.asarray(singles, dtype=np.float64)
