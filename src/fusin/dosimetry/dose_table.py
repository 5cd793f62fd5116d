"""A table of activities by region and time in, time-integrated activities and doses out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from fusin.dosimetry.priors import Prior, prior_for
from fusin.dosimetry.time_activity import TimeActivity, time_activity, widened
from fusin.dosimetry.time_activity_region import IntegrationOptions, RegionIntegral, integrate_region
from fusin.errors import FusinError, InputError, NotComputable, StrictRefusal
from fusin.nuclides import nuclide as nuclide_of
from fusin.provenance import Notice, NoticeLog
from fusin.stats.results import Estimate
from fusin.tabular.files import load
from fusin.tabular.rows import words
from fusin.tabular.schema import InputColumn, Schema, read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MARROW_NAME",
    "TIME_ACTIVITY_TABLE",
    "DecayCorrection",
    "DoseOptions",
    "DoseTable",
    "RegionDose",
    "dose_table",
    "read_activities",
]

DecayCorrection = Literal["none", "start", "admin"]
TIME_ACTIVITY_TABLE = Schema(
    name="time-activity table",
    columns=(
        InputColumn("region", "string", "organ or lesion", required=True, label=True),
        InputColumn("time_h", "float64", "hours after administration, at the start of the scan", required=True, least=0.0),
        InputColumn("activity_mbq", "float64", "activity of the whole region at that time, not decay-corrected unless "
                    "`decay_correction` or `decay_corrected_to_h` says so; of planar images in any unit", required=True),
        InputColumn("uncertainty_mbq", "float64", "standard uncertainty of the activity"),
        InputColumn("mass_g", "float64", "mass of the region; gives its self-dose"),
        InputColumn("mass_u_g", "float64", "standard uncertainty of the mass"),
        InputColumn("modality", "string", "`planar` images give the shape and one `spect` the scale (hybrid)",
                    words=words("spect", "planar")),
        InputColumn("nuclide", "string", "one nuclide for the whole table"),
        InputColumn("decay_correction", "string", "to which moment an activity was corrected: `none` (`uncorrected`), `start` "
                    "of its own scan, or `admin` (administration); as DICOM (0054,1102)",
                    words=words("uncorrected", "start", "admin")),
        InputColumn("decay_corrected_to_h", "float64", "moment to which an activity was corrected, hours after administration; "
                    "empty for none"),
    ),
    key=("region", "time_h", "modality"),
)  # fmt: skip

_TIMES = {"h": 1.0, "hour": 1.0, "hours": 1.0, "min": 1 / 60, "minutes": 1 / 60, "s": 1 / 3600, "d": 24.0, "days": 24.0}
_ACTIVITIES = {"mbq": 1.0, "gbq": 1e3, "kbq": 1e-3, "bq": 1e-6, "mci": 37.0, "uci": 0.037, "µci": 0.037, "μci": 0.037}
_MASSES = {"g": 1.0, "kg": 1e3, "mg": 1e-3}
_UNITS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "time": ("time_h", _TIMES),
    "activity": ("activity_mbq", _ACTIVITIES),
    "uncertainty": ("uncertainty_mbq", _ACTIVITIES),
    "mass": ("mass_g", _MASSES),
}
_HEADER = re.compile(r"(time|activity|uncertainty|mass)[\s_]*[\[(]?\s*([a-zµμ]+)\s*[\])]?")
MARROW_NAME = re.compile(r"marrow|knochenmark|vertebra")
"""Names of regions whose dose no sphere describes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseOptions:
    """What the table itself does not say.

    Attributes
    ----------
    nuclide : name; may stand in the table instead
    administered_mbq : for coefficients per administered activity
    integration : method and choices
    decay_correction : of all rows, where the table has no column for it; None takes ``activity_mbq`` at its word
    priors : of effective half-lives, by region
    uncertainty_percent : relative standard uncertainty of every activity, where the table has no column for it
    mass_u_percent : relative standard uncertainty of every mass, where the table has no column for it
    """

    nuclide: str = ""
    administered_mbq: float | None = None
    integration: IntegrationOptions = field(default_factory=IntegrationOptions)
    decay_correction: DecayCorrection | None = None
    priors: tuple[Prior, ...] = ()
    uncertainty_percent: float | None = None
    mass_u_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionDose:
    """One region.

    Attributes
    ----------
    name : of the region
    integral : None where it cannot be had
    reason : why not, else empty
    tiac_h : time-integrated activity coefficient, None without an administered activity
    mass_g, mass_u_g : as stated
    dose_gy : self-dose of a sphere of that mass, or None
    dose_reason : why there is none, else empty
    notices : what concerns this region
    """

    name: str
    integral: RegionIntegral | None
    reason: str = ""
    tiac_h: Estimate | None = None
    mass_g: float | None = None
    mass_u_g: float | None = None
    dose_gy: Estimate | None = None
    dose_reason: str = ""
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DoseTable:
    """All regions of a table.

    Attributes
    ----------
    nuclide, half_life_h : of the table
    administered_mbq : as given
    regions : in the order of the table
    """

    nuclide: str
    half_life_h: float
    administered_mbq: float | None
    regions: tuple[RegionDose, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Sentences of the regions that could not be integrated."""
        return tuple(r.reason for r in self.regions if r.integral is None)


def read_activities(source: str | Path | pd.DataFrame, log: NoticeLog) -> tuple[pd.DataFrame, str]:
    """Read the table; units in the header other than h, MBq and g are converted with a notice.

    Returns
    -------
    DataFrame and the name of the table for messages.

    Raises
    ------
    InputError
        For a table that cannot be used, with row and column.
    """
    known = [*TIME_ACTIVITY_TABLE.names(), *(f"{n}_{u}" for n, (_, units) in _UNITS.items() for u in units)]
    raw, where = load(source, known, TIME_ACTIVITY_TABLE.name)
    factors: dict[str, tuple[str, float]] = {}
    headers = []
    for header in map(str, raw.columns):
        found = _HEADER.fullmatch(header.strip().lower())
        name, units = _UNITS[found[1]] if found else ("", {})
        foreign = found is not None and found[2] in units and found[0] != name and name not in headers
        if found is not None and foreign:
            factors[name] = (header, units[found[2]])
        headers.append(name if foreign else header)
    raw = raw.copy()
    raw.columns = raw.columns.__class__(headers)
    for place, header in enumerate(headers):
        if re.sub(r"[\s_-]+", "_", header.strip().lower()) == "decay_correction":
            # An empty cell and the word none mean different things here, and alike everywhere else.
            stated = raw.iloc[:, place].astype("string").str.strip()
            named = stated.str.lower().eq("none").fillna(False).astype(bool)
            raw.isetitem(place, stated.mask(named, "uncorrected").to_numpy(dtype=object))
    frame = read_table(raw, TIME_ACTIVITY_TABLE, log, where=where)
    for name, (header, factor) in factors.items():
        if factor != 1.0:
            frame[name] = frame[name] * factor
            log.info("UNIT_CONVERTED", f"column {header!r} was converted to {name} (times {factor:g})", where=where,
                     raw=header, used=name)  # fmt: skip
    for name in ("activity_mbq", "uncertainty_mbq", "mass_g", "mass_u_g"):
        if name in frame.columns:
            wrong = (frame[name] <= 0).to_numpy(dtype=bool, na_value=False)
            if wrong.any():
                row = int(wrong.argmax())
                empty = "" if name == "activity_mbq" else "; leave it empty where it is not known"
                raise InputError(f"{where} row {row + 1}", name, float(frame[name][row]), f"a positive number{empty}")
    return frame, where


def dose_table(source: str | Path | pd.DataFrame, *, options: DoseOptions, log: NoticeLog) -> DoseTable:
    """Integrate every region of a table, and compute the self-dose of those with a mass.

    Parameters
    ----------
    source : path of the table, or a frame
    options : nuclide, administered activity, method
    log : receives notices

    Raises
    ------
    InputError
        For a table or option that cannot be used.
    NotComputable
        Where no region can be integrated; one that can is enough for a result that names the others.
    """
    frame, where = read_activities(source, log)
    name = _nuclide(frame, options, where)
    half_life_h = nuclide_of(name).half_life_s / 3600.0
    given = options.administered_mbq
    if given is not None and not (math.isfinite(given) and given > 0):
        raise InputError("--administered-mbq", "administered activity", given, "a positive number of MBq")
    frame = _at_scan(frame, options, half_life_h, where, log)
    regions, first = [], None
    for region in dict.fromkeys(frame["region"].tolist()):
        rows = frame[frame["region"] == region]
        try:
            regions.append(_region(str(region), rows, options, name, half_life_h, where, log))
        except StrictRefusal:
            raise
        except (InputError, NotComputable) as err:
            first = first or err
            regions.append(
                RegionDose(name=str(region), integral=None, reason=str(err), dose_reason="no time-integrated activity")
            )
            log.warning("REGION_NOT_INTEGRATED", str(err), where=str(region))
    if first is not None and all(r.integral is None for r in regions):
        raise first
    noted = [_with_notices(r, log) for r in regions]
    if given is None:
        log.info(
            "NO_ADMINISTERED_ACTIVITY",
            "no coefficient per administered activity: --administered-mbq is not given",
            where=where,
        )
    return DoseTable(nuclide=name, half_life_h=half_life_h, administered_mbq=given, regions=tuple(noted))


def _with_notices(region: RegionDose, log: NoticeLog) -> RegionDose:
    return replace(region, notices=tuple(n for n in log if n.where == region.name))


def _nuclide(frame: pd.DataFrame, options: DoseOptions, where: str) -> str:
    """The one nuclide of table and option."""
    named = []
    if "nuclide" in frame.columns:
        gone = frame["nuclide"].isna().to_numpy()
        if gone.any() and not gone.all():
            raise InputError(
                f"{where} row {int(gone.argmax()) + 1}", "nuclide", None, "the nuclide in every row, or in none"
            )
        named = list(dict.fromkeys(nuclide_of(str(n)).name for n in frame["nuclide"].dropna()))
    if len(named) > 1:
        raise InputError(
            where, "nuclide", " and ".join(named), "one nuclide; split the table, because rates of two nuclides differ"
        )
    if options.nuclide:
        wanted = nuclide_of(options.nuclide).name
        if named and named[0] != wanted:
            raise InputError(where, "nuclide", named[0], f"{wanted}, as --nuclide says")
        return wanted
    if not named:
        raise InputError(where, "nuclide", None, "--nuclide, such as Lu-177, or a column nuclide")
    return named[0]


def _at_scan(frame: pd.DataFrame, options: DoseOptions, half_life_h: float, where: str, log: NoticeLog) -> pd.DataFrame:
    """Activities at the time of their scan: corrections for decay are undone."""
    import pandas as pd

    columns = [c for c in ("decay_correction", "decay_corrected_to_h") if c in frame.columns]
    if len(columns) > 1 or (columns and options.decay_correction is not None):
        found = " and ".join([*columns, *(["--decay-correction"] if options.decay_correction else [])])
        raise InputError(where, "decay correction", found, "one statement of it")
    time = frame["time_h"].to_numpy(dtype=float)
    if columns == ["decay_correction"]:
        words_ = frame["decay_correction"]
        if words_.isna().any():
            row = int(words_.isna().to_numpy().argmax())
            raise InputError(f"{where} row {row + 1}", "decay_correction", "unknown",
                             "none, start or admin: the moment to which it was corrected")  # fmt: skip
        reference = np.where((words_ == "admin").to_numpy(dtype=bool), 0.0, time)
    elif columns:
        reference = pd.to_numeric(frame["decay_corrected_to_h"]).to_numpy(dtype=float)
        reference = np.where(np.isnan(reference), time, reference)
    else:
        reference = np.zeros_like(time) if options.decay_correction == "admin" else time
    factor = np.exp2(-(time - reference) / half_life_h)
    changed = factor != 1.0
    if not changed.any():
        return frame
    frame = frame.copy()
    for name in ("activity_mbq", "uncertainty_mbq"):
        if name in frame.columns:
            frame[name] = frame[name] * factor
    log.info(
        "DECAY_CORRECTION_UNDONE",
        f"{int(changed.sum())} of {len(frame)} activities were decay-corrected and were brought back to the time of their scan "
        f"(factors {factor[changed].min():.4g} to {factor[changed].max():.4g})",
        where=where,
    )
    return frame


def _region(
    name: str, rows: pd.DataFrame, options: DoseOptions, nuclide: str, half_life_h: float, where: str, log: NoticeLog
) -> RegionDose:
    time = rows["time_h"].to_numpy(dtype=float)
    if (np.diff(time) < 0).any():
        log.info("TIMES_SORTED", "its rows are not in the order of time and were sorted", where=name)
    planar = rows["modality"].eq("planar").fillna(False).to_numpy(dtype=bool) if "modality" in rows.columns else None
    spect = None
    shape = rows
    if planar is not None and planar.any():
        if planar.all():
            raise InputError(where, f"modality of {name}", "planar images alone", "one SPECT for their scale")
        shape, spect = rows[planar], _points(name, rows[~planar], options)
    integral = integrate_region(
        _points(name, shape, options), log, half_life_h=half_life_h, options=options.integration,
        prior=prior_for(options.priors, name, nuclide), spect=spect,
    )  # fmt: skip
    mass, mass_u = _mass(name, rows, options, log)
    dose, why = _dose(name, integral, nuclide, mass, mass_u, log)
    tiac = None
    if options.administered_mbq is not None:
        tiac = widened(integral.tia_mbq_h, 0.0, scale=1.0 / options.administered_mbq)
    return RegionDose(
        name=name, integral=integral, tiac_h=tiac, mass_g=mass, mass_u_g=mass_u, dose_gy=dose, dose_reason=why
    )


def _points(name: str, rows: pd.DataFrame, options: DoseOptions) -> TimeActivity:
    activity = rows["activity_mbq"].to_numpy(dtype=float)
    u = None
    if "uncertainty_mbq" in rows.columns and rows["uncertainty_mbq"].notna().any():
        if options.uncertainty_percent is not None:
            raise InputError(name, "uncertainty", "a column and --uncertainty-percent", "one statement of it")
        u = rows["uncertainty_mbq"].to_numpy(dtype=float)
        if np.isnan(u).any():
            raise InputError(
                name, "uncertainty_mbq", "empty at some times", "a value at every time of the region, or none"
            )
    elif options.uncertainty_percent is not None:
        share = options.uncertainty_percent
        if not (math.isfinite(share) and 0 < share < 100):
            raise InputError("--uncertainty-percent", "uncertainty", share, "a percentage above 0 and below 100")
        u = activity * share / 100.0
    return time_activity(name, rows["time_h"].to_numpy(dtype=float), activity, u)


def _mass(name: str, rows: pd.DataFrame, options: DoseOptions, log: NoticeLog) -> tuple[float | None, float | None]:
    """Mass and its standard uncertainty; the mean where scans differ."""
    if "mass_g" not in rows.columns or not rows["mass_g"].notna().any():
        return None, None
    masses = rows["mass_g"].dropna().to_numpy(dtype=float)
    mass = float(masses.mean())
    if np.ptp(masses) > 0:
        log.adapted("MASS_VARIES", f"masses from {masses.min():g} to {masses.max():g} g; their mean was taken", where=name,
                    raw=masses.tolist(), used=mass)  # fmt: skip
    if "mass_u_g" in rows.columns and rows["mass_u_g"].notna().any():
        return mass, float(rows["mass_u_g"].dropna().to_numpy(dtype=float).max())
    share = options.mass_u_percent
    if share is None:
        return mass, None
    if not (math.isfinite(share) and 0 < share < 100):
        raise InputError("--mass-u-percent", "uncertainty", share, "a percentage above 0 and below 100")
    return mass, mass * share / 100.0


def _dose(
    name: str, integral: RegionIntegral, nuclide: str, mass_g: float | None, mass_u_g: float | None, log: NoticeLog
) -> tuple[Estimate | None, str]:
    """Self-dose of a sphere of the region's mass, or why there is none."""
    if mass_g is None:
        return None, "no mass_g"
    if MARROW_NAME.search(name.casefold()):
        return None, "the skeleton is no sphere: marrow dose needs fusin dose marrow"
    from fusin.dosimetry.emissions import say_alpha_assumptions
    from fusin.dosimetry.spheres import sphere_s

    try:
        s = sphere_s(nuclide, mass_g)
        say_alpha_assumptions(nuclide, log)
    except FusinError as err:
        return None, str(err)
    # mGy/(MBq s) times 3600 s/h over 1000 mGy/Gy; the dose of electrons falls as 1/mass.
    relative = math.hypot(s.u_relative, 0.0 if mass_u_g is None else mass_u_g / mass_g)
    dose = widened(integral.tia_mbq_h, relative, scale=s.s_mgy_per_mbq_s * 3.6,
                   method=f"{integral.tia_mbq_h.method}; sphere S of the mass")  # fmt: skip
    if mass_u_g is None:
        log.info(
            "MASS_UNCERTAINTY_MISSING",
            "the uncertainty of the mass is not stated and not in the interval of the dose",
            where=name,
        )
    log.info(
        "SPHERE_SELF_DOSE",
        "dose from the region to itself as a sphere of its mass; no dose from other regions",
        where=name,
    )
    return dose, ""
