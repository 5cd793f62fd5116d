"""A reconstruction as a TOML file: what to read, what to correct, which algorithm, which regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast, get_args

from fusin.errors import InputError
from fusin.reconstruction.algorithms import Algorithm
from fusin.reconstruction.array_library import LIBRARIES
from fusin.reconstruction.config_conflicts import refuse_unread
from fusin.reconstruction.config_keys import check_names
from fusin.reconstruction.stopping import OBJECT, REGION
from fusin.tabular.toml_fields import TomlFields, read_toml, shown

__all__ = [
    "Calibration",
    "Config",
    "Fields",
    "Injection",
    "Modality",
    "PriorSettings",
    "RegionSettings",
    "StopSettings",
    "read_config",
]

Modality = Literal["spect", "pet", "matrix"]


class Fields(TomlFields):
    """One table of the file; paths are taken relative to it.

    Parameters
    ----------
    values : the table
    where : file and table for messages
    folder : of the file
    """

    def __init__(self, values: Any, where: str, folder: Path) -> None:
        super().__init__(values, where)
        self.folder = folder

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def needed(self, name: str, **limits: float) -> float:
        """A number that has to be there."""
        value = self.number(name, **limits)
        if value is None:
            raise InputError(self.where, name, "nothing", "a number")
        return value

    def whole(self, name: str, default: int, *, least: int) -> int:
        """A whole number."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 10**9:
            raise InputError(self.where, name, shown(value), f"a whole number of {least} or more")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false when absent."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise InputError(self.where, name, shown(value), "true or false")
        return bool(value)

    def word(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of the words."""
        text = self.stated_text(name) or default
        if text not in allowed:
            raise InputError(self.where, name, text or "nothing", "one of " + ", ".join(allowed))
        return text

    def numbers(self, name: str, count: int | None = None) -> tuple[float, ...] | None:
        """A list of finite numbers, or None when absent; one number stands for ``count`` equal ones."""
        value = self.take(name)
        if value is None:
            return None
        listed = value if isinstance(value, list) else [value] * (count or 1)
        needed = f"a list of {count} numbers" if count else "a list of numbers"
        if not listed or (count and len(listed) != count):
            raise InputError(self.where, name, f"{len(listed)} values", needed)
        probe = [TomlFields({name: v}, self.where).number(name) for v in listed]
        return tuple(float(v) for v in probe if v is not None)

    def path(self, name: str, *, required: bool = False) -> Path | None:
        """A file or folder that exists, relative to the TOML file; None when absent."""
        text = self.stated_text(name, required=required)
        if not text:
            return None
        found = self.folder / text
        try:
            there = found.exists()
        except (OSError, ValueError):
            there = False
        if not there:
            raise InputError(self.where, name, text, f"a file or folder that exists beside {self.where.split(',')[0]}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorSettings:
    """Strength and shape of the relative-difference prior; ``epsilon_share`` is of the uniform start image."""

    beta: float
    gamma: float = 2.0
    epsilon_share: float = 1e-3
    kappa: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSettings:
    """When to stop, by names of regions; see `fusin.reconstruction.stopping`."""

    background: str
    whole: str = ""
    regions: tuple[str, ...] | None = None
    object_tolerance: float = OBJECT
    region_tolerance: float = REGION
    consecutive: int = 2
    reference: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """From counts to becquerels; ``factor`` is counts per second and MBq, or Bq/mL per count, as the modality asks."""

    factor: float
    u_relative: float
    duration_s: float | None = None
    dead_time_factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """Net activity that entered the patient, at its time."""

    activity_mbq: float
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSettings:
    """A region by its outline or as a sphere."""

    name: str
    file: Path | None = None
    label: str = ""
    centre_mm: tuple[float, float, float] | None = None
    radius_mm: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Config:
    """A reconstruction as it was asked for.

    Attributes
    ----------
    path : the TOML file
    modality, title : of the acquisition
    tables : tables that the modality reads by itself, as written
    algorithm, iterations, subsets, step, decay : see `fusin.reconstruction.algorithms.Options`; ``subsets`` None: a default
    prior, stop, calibration : None where there is none
    replicates, seed : of the bootstrap
    regions : in the order of the file
    start, nuclide : of the acquisition where the file does not say
    study : DICOM object of the same study, for its patient
    injection, weight_kg : of the patient, where the study's object does not say or is wrong
    backend, device : where the projector runs; an empty device is the library's choice
    """

    path: Path
    modality: Modality
    title: str
    tables: Mapping[str, Mapping[str, Any]]
    algorithm: Algorithm
    iterations: int
    subsets: int | None
    step: float
    decay: float
    prior: PriorSettings | None
    stop: StopSettings | None
    calibration: Calibration | None
    replicates: int
    seed: int
    regions: tuple[RegionSettings, ...]
    start: datetime | None = None
    nuclide: str = ""
    study: Path | None = None
    injection: Injection | None = None
    weight_kg: float | None = None
    backend: str = "numba"
    device: str = ""

    def fields(self, table: str) -> Fields:
        """A table of the modality; empty where it is absent."""
        return Fields(self.tables.get(table, {}), f"{self.path.name}, {table}", self.path.parent)

    def study_header(self) -> Any:
        """Header of the DICOM object of the same study that was named; None without one.

        Raises
        ------
        InputError
            For a file that is no DICOM.
        """
        if self.study is None:
            return None
        import pydicom
        from pydicom.errors import InvalidDicomError

        try:
            return pydicom.dcmread(self.study, stop_before_pixels=True)
        except (InvalidDicomError, OSError, ValueError, AttributeError, EOFError) as err:
            raise InputError(
                f"{self.path.name}, acquisition", "study", self.study.name, "one DICOM file of the same study"
            ) from err

    def has(self, table: str) -> bool:
        """Whether a table is there."""
        return table in self.tables


def read_config(path: Path) -> Config:
    """Read and check a TOML file; files that it names are opened later.

    Raises
    ------
    InputError
        For anything that cannot be used: the file, a key that does not exist, a value outside its limits.
    """
    document = read_toml(path)
    check_names(document, path.name)
    refuse_unread(document, path.name)
    top = Fields(document, path.name, path.parent)
    modality = cast(Modality, top.word("modality", get_args(Modality), ""))

    def table(name: str) -> Fields:
        return Fields(document.get(name, {}), f"{path.name}, {name}", path.parent)

    algorithm = table("algorithm")
    backend, device = _backend(algorithm)
    name = cast(Algorithm, algorithm.word("name", get_args(Algorithm), "osem"))
    prior = _prior(table("prior")) if "prior" in document else None
    if prior is not None and name in ("mlem", "osem"):
        raise InputError(f"{path.name}, prior", "algorithm", name, "bsrem or map: mlem and osem have no prior")
    regions = _regions(document.get("region", []), path)
    stop = _stop(table("stop"), [r.name for r in regions]) if "stop" in document else None
    bootstrap = table("bootstrap")
    replicates = bootstrap.whole("replicates", 0, least=0)
    if replicates == 1:
        raise InputError(bootstrap.where, "replicates", 1, "0 for none, or 2 or more; 20 or more give intervals")
    calibration = _calibration(table("calibration"), modality) if "calibration" in document else None
    acquisition = table("acquisition")
    subsets = None if "subsets" not in algorithm else algorithm.whole("subsets", 1, least=1)
    if name == "mlem" and subsets not in (None, 1):
        raise InputError(algorithm.where, "subsets", subsets, "1 for mlem, or the algorithm osem")
    return Config(
        path=path, modality=modality, title=top.stated_text("title") or path.stem, algorithm=name,
        tables={k: dict(v) for k, v in document.items() if isinstance(v, dict)}, prior=prior, stop=stop,
        iterations=algorithm.whole("iterations", 10, least=1), subsets=subsets,
        step=_or(algorithm.number("step", above=0.0), 1.0), decay=_or(algorithm.number("decay", least=0.0), 0.1),
        calibration=calibration, replicates=replicates, seed=bootstrap.whole("seed", 0, least=0), regions=regions,
        start=_moment(acquisition, "start"), nuclide=_nuclide(acquisition),
        study=acquisition.path("study"), injection=_injection(acquisition), weight_kg=acquisition.number("weight_kg", above=0.0),
        backend=backend, device=device,
    )  # fmt: skip


def _backend(fields: Fields) -> tuple[str, str]:
    """Where the projector runs; an empty device leaves the choice to the library."""
    backend = fields.word("backend", ("numba", *LIBRARIES), "numba")
    device = fields.stated_text("device")
    if backend == "numba" and device not in ("", "cpu"):
        raise InputError(fields.where, "device", device, "cpu with the backend numba; torch and cupy know GPUs")
    return backend, device


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _prior(fields: Fields) -> PriorSettings:
    return PriorSettings(
        beta=fields.needed("beta", least=0.0), gamma=_or(fields.number("gamma", least=0.0), 2.0),
        epsilon_share=_or(fields.number("epsilon_share", above=0.0), 1e-3), kappa=fields.flag("kappa"),
    )  # fmt: skip


def _stop(fields: Fields, regions: list[str]) -> StopSettings:
    def region(name: str, *, required: bool = False) -> str:
        text = fields.stated_text(name, required=required)
        if text and text not in regions:
            raise InputError(
                fields.where, name, text, "the name of a [[region]]: " + (", ".join(regions) or "there is none")
            )
        return text

    listed = fields.take("regions")
    if listed is not None:
        if not isinstance(listed, list) or not all(isinstance(n, str) for n in listed):
            raise InputError(fields.where, "regions", shown(listed), "a list of names of regions")
        unknown = [n for n in listed if n not in regions]
        if unknown:
            raise InputError(fields.where, "regions", unknown[0], "names of [[region]] tables")
    return StopSettings(
        background=region("background", required=True), whole=region("object"),
        regions=None if listed is None else tuple(listed),
        object_tolerance=_or(fields.number("object_tolerance", above=0.0), OBJECT),
        region_tolerance=_or(fields.number("region_tolerance", above=0.0), REGION),
        consecutive=fields.whole("consecutive", 2, least=1), reference=fields.path("reference"),
    )  # fmt: skip


def _calibration(fields: Fields, modality: Modality) -> Calibration:
    name = "cps_per_mbq" if modality == "spect" else "bq_ml_per_count"
    return Calibration(
        factor=fields.needed(name, above=0.0), u_relative=fields.needed("u_percent", least=0.0, most=50.0) / 100.0,
        duration_s=fields.number("duration_s", above=0.0),
        dead_time_factor=_or(fields.number("dead_time_factor", least=1.0), 1.0),
    )  # fmt: skip


def _regions(rows: Any, path: Path) -> tuple[RegionSettings, ...]:
    found: list[RegionSettings] = []
    for number, row in enumerate(rows, start=1):
        fields = Fields(row, f"{path.name}, region {number}", path.parent)
        name = fields.stated_text("name", required=True)
        if name in [r.name for r in found]:
            raise InputError(fields.where, "name", name, "a name that no other region has")
        file, centre = fields.path("file"), fields.numbers("centre_mm", 3)
        if (file is None) == (centre is None):
            raise InputError(
                fields.where, "outline", "both" if file else "nothing", "file, or centre_mm with radius_mm"
            )
        radius = fields.needed("radius_mm", above=0.0) if centre is not None else 0.0
        found.append(RegionSettings(
            name=name, file=file, label=fields.stated_text("label"), radius_mm=radius,
            centre_mm=None if centre is None else (centre[0], centre[1], centre[2]),
        ))  # fmt: skip
    return tuple(found)


def _injection(fields: Fields) -> Injection | None:
    activity, time = fields.number("injected_mbq", above=0.0), _moment(fields, "injected")
    if activity is None and time is None:
        return None
    if activity is None or time is None:
        name = "injected_mbq" if activity is None else "injected"
        raise InputError(fields.where, name, "nothing", "injected_mbq and injected together: the activity and its time")
    start = _moment(fields, "start")
    if start is not None and (start.tzinfo is None) != (time.tzinfo is None):
        raise InputError(
            fields.where, "injected", time.isoformat(), "a time zone in both injected and start, or in neither"
        )
    if start is not None and time > start:
        raise InputError(
            fields.where,
            "injected",
            time.isoformat(),
            f"a moment before the start of the acquisition, {start.isoformat()}",
        )
    return Injection(activity_mbq=activity, time=time)


def _moment(fields: Fields, name: str) -> datetime | None:
    value = fields.take(name)
    if value is None or isinstance(value, datetime):
        return value
    try:
        found = datetime.fromisoformat(str(value))
        if not any(mark in str(value) for mark in "T:"):
            raise ValueError("a date alone")
    except ValueError as err:
        raise InputError(fields.where, name, shown(value), "an ISO date and time such as 2026-03-02T09:30:00") from err
    return found


def _nuclide(fields: Fields) -> str:
    from fusin.nuclides import nuclide

    text = fields.stated_text("nuclide")
    return nuclide(text).name if text else ""
