"""Virtual patients: each is drawn and calibrated alone, so that a stopped run goes on where it was and ends the same.

Patient ``i`` of a seed depends on nothing but both numbers. A run hands over what is finished after every part; given that
again, it computes the rest.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.files import write_bytes_atomically
from fusin.receptor.pbpk import Administration, BodyCurves, simulate_body
from fusin.receptor.pbpk_body import ORGANS, Tumour
from fusin.receptor.pbpk_calibration import draw_body, open_spans
from fusin.receptor.pbpk_parameters import LIGAND_FIELDS, records_for
from fusin.receptor.pbpk_system import Competition

__all__ = [
    "POPULATION_PERCENTILES",
    "Population",
    "Setup",
    "draw_patient",
    "read_population",
    "run_population",
    "write_population",
]

FloatArray = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
POPULATION_PERCENTILES = (2.5, 25.0, 50.0, 75.0, 97.5)
_PART = 50
_FORMAT = "fusin pbpk population 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What all patients of a population share.

    Attributes
    ----------
    ligand : name
    given : injections
    times_min : at which curves are kept
    tumours : of every patient; receptor without a stated number is that of the patient's reference lesion
    competition : on board
    stated : ranges of parameters that the user states; a single value has equal limits
    seed : of the draws
    """

    ligand: str
    given: tuple[Administration, ...]
    times_min: tuple[float, ...]
    tumours: tuple[Tumour, ...] = ()
    competition: tuple[Competition, ...] = ()
    stated: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    seed: int = 0

    def key(self) -> str:
        """Digest of everything that decides the numbers."""
        text = json.dumps(
            {**asdict(self), "stated": {k: list(v) for k, v in sorted(self.stated.items())}}, sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def regions(self) -> tuple[str, ...]:
        """Organs, then tumours."""
        return (*ORGANS, *(t.name for t in self.tumours))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """Finished patients; rows of the others hold NaN.

    Attributes
    ----------
    setup : of all
    names : of the parameters
    parameters : (patients, parameters)
    suv : (patients, regions, times)
    tia_h : (patients, regions) time-integrated activity per activity given [h]
    done : (patients,) whether a row is computed
    """

    setup: Setup
    names: tuple[str, ...]
    parameters: FloatArray
    suv: FloatArray
    tia_h: FloatArray
    done: NDArray[np.bool_]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Patients that were computed and did not fail."""
        return self.done & np.isfinite(self.tia_h).all(axis=1)

    def bands(self, region: str) -> FloatArray:
        """Percentiles of the SUV of a region at each time, (5, times)."""
        found: FloatArray = np.percentile(
            self.suv[self.usable, self.setup.regions.index(region)], POPULATION_PERCENTILES, axis=0
        )
        return found


def draw_patient(setup: Setup, number: int) -> tuple[dict[str, float], tuple[Tumour, ...]]:
    """Parameters and tumours of one patient.

    The body is calibrated with pentixafor, whose organ SUV are published; then the numbers of the ligand asked for take their
    place. Affinity and rates of pentixather are those drawn for pentixafor unless the user states them.

    Raises
    ------
    NotComputable
        When no draw has a solution.
    """
    own = setup.ligand == "pentixafor"
    for_body = {k: v for k, v in setup.stated.items() if own or k not in LIGAND_FIELDS}
    fixed = {k: v[0] for k, v in for_body.items() if v[0] == v[1]}
    ranges = {k: v for k, v in for_body.items() if v[0] < v[1]}
    values, _ = draw_body(open_spans("pentixafor", ranges), fixed, seed=setup.seed, number=number)
    rng = np.random.default_rng([setup.seed, number, 31])
    records = records_for(setup.ligand)
    for name in LIGAND_FIELDS:
        place = float(rng.random())
        span = setup.stated.get(name)
        if not own and span is None and name == "free_in_plasma":
            span = (records[name].low, records[name].high)
        if not own and span is not None:
            values[name] = math.exp(math.log(span[0]) + place * math.log(span[1] / span[0]))
    return values, setup.tumours


def _patient(setup: Setup, number: int) -> tuple[int, dict[str, float] | None, BodyCurves | None]:
    try:
        values, tumours = draw_patient(setup, number)
        curves = simulate_body(
            values, setup.given, setup.times_min, tumours=tumours, competition=setup.competition, relative=1e-6
        )
    except NotComputable:
        return number, None, None
    return number, values, curves


def run_population(
    setup: Setup, patients: int, *, earlier: Population | None = None, keep: Callable[[Population], None] | None = None,
    progress: Progress | None = None, workers: int = 2,
) -> Population:  # fmt: skip
    """Draw, calibrate and run patients.

    Parameters
    ----------
    setup : of all patients
    patients : number
    earlier : what an interrupted run of the same setup has finished; may hold fewer or more patients
    keep : called with what is finished after each part, and when the run is interrupted
    progress : called with (stage, done, total)
    workers : threads

    Raises
    ------
    InputError
        For no patients, and for an earlier run of another setup.
    KeyboardInterrupt
        After ``keep`` was called.
    """
    if not 1 <= patients <= 1_000_000:
        raise InputError("--patients", "number", patients, "from 1 to 1000000")
    found = _empty(setup, patients)
    if earlier is not None:
        _take_up(found, earlier)
    missing = np.flatnonzero(~found.done).tolist()
    report = progress or (lambda stage, done, total: None)
    pool = ThreadPoolExecutor(max_workers=workers)
    finished, kept = patients - len(missing), 0
    try:
        for at in range(0, len(missing), _PART):
            for number, values, curves in pool.map(lambda i: _patient(setup, i), missing[at : at + _PART]):
                _store(found, number, values, curves)
                finished, kept = finished + 1, kept + 1
                report("patients", finished, patients)
            # Twenty times in all: what is kept grows with the run, and would otherwise take most of its time.
            if keep is not None and (kept >= patients / 20 or finished == patients):
                keep(found)
                kept = 0
    except KeyboardInterrupt:
        pool.shutdown(cancel_futures=True)
        if keep is not None:
            keep(found)
        raise
    pool.shutdown()
    if not found.usable.any():
        raise NotComputable("the population", "no patient can be computed", "other ranges", "NO_PATIENT_FOUND")
    return found


def _take_up(found: Population, earlier: Population) -> None:
    """Copy what an earlier run has finished."""
    if earlier.setup.key() != found.setup.key():
        needed = "the same case, options and seed, or another folder"
        raise InputError("population", "earlier run", "other settings", needed)
    n = min(found.done.size, earlier.done.size)
    for name in ("parameters", "suv", "tia_h", "done"):
        getattr(found, name)[:n] = getattr(earlier, name)[:n]


def _empty(setup: Setup, patients: int) -> Population:
    names = tuple(records_for(setup.ligand))
    regions = len(setup.regions)
    return Population(
        setup=setup, names=names, parameters=np.full((patients, len(names)), np.nan),
        suv=np.full((patients, regions, len(setup.times_min)), np.nan), tia_h=np.full((patients, regions), np.nan),
        done=np.zeros(patients, dtype=bool),
    )  # fmt: skip


def _store(found: Population, number: int, values: dict[str, float] | None, curves: BodyCurves | None) -> None:
    if values is not None and curves is not None:
        found.parameters[number] = [values[name] for name in found.names]
        given = max(curves.activity_mbq, 1e-300)
        for place, region in enumerate(found.setup.regions):
            found.suv[number, place] = curves.suv(region)
            found.tia_h[number, place] = curves.tia_mbq_h(region) / given
    found.done[number] = True


def write_population(found: Population, path: Path) -> None:
    """Write what is finished; a reader never sees a half-written file."""
    stream = io.BytesIO()
    np.savez_compressed(
        stream, format=np.array(_FORMAT), key=np.array(found.setup.key()), parameters=found.parameters, suv=found.suv,
        tia_h=found.tia_h, done=found.done,
    )  # fmt: skip
    write_bytes_atomically(path, stream.getvalue())


def read_population(path: Path, setup: Setup) -> Population:
    """What an interrupted run has finished.

    Raises
    ------
    InputError
        For a file that is none, or that another setup has written.
    """
    needed = "a file that fusin receptor pbpk --patients has written"
    try:
        # From memory: of a broken archive numpy leaves the file open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
            arrays: dict[str, Any] = {name: data[name] for name in data.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, AttributeError, TypeError) as err:
        raise InputError(path.name, "file", type(err).__name__, needed) from err
    blank = _empty(setup, 1)
    if str(arrays.get("format")) != _FORMAT:
        raise InputError(path.name, "format", str(arrays.get("format")), needed)
    if str(arrays.get("key")) != setup.key():
        raise InputError(
            path.name, "settings", "those of another case", "the same case, options and seed, or another folder"
        )
    if not {"done", "suv", "tia_h", "parameters"} <= set(arrays):
        raise InputError(path.name, "arrays", ", ".join(sorted(arrays)), needed)
    n = arrays["done"].size
    if arrays["suv"].shape != (n, *blank.suv.shape[1:]) or arrays["parameters"].shape != (n, len(blank.names)):
        raise InputError(path.name, "arrays", str(arrays["suv"].shape), needed)
    return Population(setup=setup, names=blank.names, parameters=arrays["parameters"], suv=arrays["suv"],
                      tia_h=arrays["tia_h"], done=arrays["done"].astype(bool))  # fmt: skip
