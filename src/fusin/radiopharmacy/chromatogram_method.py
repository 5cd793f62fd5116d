"""The method of a chromatogram: regions or peaks, baseline, decay, denominator; saved once, used by everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.radiopharmacy.chromatogram_corrections import DeadTimeModel
from fusin.radiopharmacy.integration import SkimKind
from fusin.radiopharmacy.peak_detection import Detection
from fusin.radiopharmacy.toml_fields import Fields, read_toml

__all__ = ["BaselineRule", "ChromatogramMethod", "Edit", "PeakRule", "Recovery", "RegionRule", "read_method", "span"]

Role = Literal["product", "impurity", ""]
_ROLES = ("product", "impurity", "free", "colloid")
_SPECIES = ("free", "colloid")
_MODELS = ("none", "constant", "linear", "arpls", "asls", "local")
_FITS = ("gaussian", "emg", "skew-normal")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRule:
    """A region of a strip, by Rf or by millimetres; ``contains`` names the species that lie in it, ``product`` among them."""

    name: str
    rf: tuple[float, float] | None = None
    mm: tuple[float, float] | None = None
    role: Role = ""
    contains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakRule:
    """A peak of a run: a fixed window, or a name for what is found at a retention time or relative to the product."""

    name: str
    window_min: tuple[float, float] | None = None
    retention_min: float | None = None
    tolerance_min: float | None = None
    rrt: tuple[float, float] | None = None
    role: Role = ""
    contains: tuple[str, ...] = ()
    skim: SkimKind | None = None
    parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRule:
    """What the signal stands on; ``model`` None leaves the choice to the kind of signal, which is recorded."""

    model: str | None = None
    windows: tuple[tuple[float, float], ...] = ()
    windows_rf: tuple[tuple[float, float], ...] = ()
    lam: float | None = None
    per_point: float | None = None
    per_point_u: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was injected, in the unit of the areas: counts of the same injection without the column."""

    injected: float
    injected_u: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A manual change of an integration. Nothing is changed without a reason and a name."""

    peak: str
    reason: str
    user: str
    start: float | None = None
    end: float | None = None
    remove: bool = False
    time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChromatogramMethod:
    """Everything that is decided before a run; see ``docs/chromatogram.md`` for the keys of the file.

    Attributes
    ----------
    decay_correction : True with a nuclide, False, or None while nobody has decided
    denominator : ``regions`` (``peaks``) or ``strip`` (``run``); None takes the parts and notes it
    products, impurities : names of parts, beside the roles of the parts themselves
    origin_mm, front_mm : of a strip
    level : confidence level of all intervals
    """

    kind: str | None = None
    system: str = ""
    version: str = ""
    channel: str | None = None
    nuclide: str | None = None
    decay_correction: bool | None = None
    scan_duration_s: float | None = None
    scan_reverse: bool = False
    dead_time_us: float | None = None
    dead_time_model: DeadTimeModel = "non-paralysable"
    origin_mm: float | None = None
    front_mm: float | None = None
    strip_mm: tuple[float, float] | None = None
    denominator: str | None = None
    unassigned_limit_percent: float | None = None
    peaks_from: str | None = None
    fit: str | None = None
    level: float = 0.95
    baseline: BaselineRule = field(default_factory=BaselineRule)
    detection: Detection = field(default_factory=Detection)
    delay_s: float | None = None
    delay_match_min: tuple[float, float] | None = None
    recovery: Recovery | None = None
    products: tuple[str, ...] = ()
    impurities: tuple[str, ...] = ()
    regions: tuple[RegionRule, ...] = ()
    peaks: tuple[PeakRule, ...] = ()
    edits: tuple[Edit, ...] = ()
    where: str = "options"

    def to_json(self) -> dict[str, Any]:
        """What was decided, as a JSON-ready mapping without what was left open."""
        return {k: v for k, v in _plain(self).items() if v not in (None, "", (), [], {})}

    def changed(self, **values: Any) -> ChromatogramMethod:
        """The method with other values; those that are None are left as they are."""
        return replace(self, **{k: v for k, v in values.items() if v is not None})


def read_method(path: Path) -> ChromatogramMethod:
    """Read a method (TOML).

    Raises
    ------
    InputError
        For a key that is not known, a value that cannot be, and parts that contradict each other.
    """
    taken = Fields(read_toml(path), path.name)
    baseline, scan = Fields(taken.take("baseline") or {}, f"{path.name}, baseline"), taken.take("scan_reverse")
    delay = Fields(taken.take("delay") or {}, f"{path.name}, delay")
    found = ChromatogramMethod(
        kind=taken.word("kind", ("tlc", "hplc")),
        system=taken.text("system") or "",
        version=taken.text("version") or "",
        channel=taken.word("channel", ("radio", "uv")),
        nuclide=_nuclide(taken),
        decay_correction=_flag(taken, "decay_correction"),
        scan_duration_s=taken.number("scan_duration_s", above=0.0),
        scan_reverse=bool(_checked_flag(scan, path.name, "scan_reverse")),
        dead_time_us=taken.number("dead_time_us", above=0.0),
        dead_time_model=taken.word("dead_time_model", ("non-paralysable", "paralysable")) or "non-paralysable",  # type: ignore[arg-type]
        origin_mm=taken.number("origin_mm"),
        front_mm=taken.number("front_mm"),
        strip_mm=span(taken, "strip_mm"),
        denominator=taken.word("denominator", ("regions", "peaks", "strip", "run")),
        unassigned_limit_percent=taken.number("unassigned_limit_percent", least=0.0, most=100.0),
        peaks_from=taken.word("peaks_from", ("detect", "file", "windows")),
        fit=taken.word("fit", _FITS),
        level=taken.number("level", above=0.0, most=0.9999) or 0.95,
        baseline=_baseline(baseline),
        detection=_detection(Fields(taken.take("detection") or {}, f"{path.name}, detection")),
        delay_s=delay.number("seconds"),
        delay_match_min=span(delay, "match_min"),
        recovery=_recovery(taken, path.name),
        products=_names(taken, "products"),
        impurities=_names(taken, "impurities"),
        regions=tuple(_region(Fields(v, w)) for w, v in taken.tables("regions")),
        peaks=tuple(_peak(Fields(v, w)) for w, v in taken.tables("peaks")),
        edits=tuple(_edit(Fields(v, w)) for w, v in taken.tables("edits")),
        where=path.name,
    )
    for one in (taken, baseline, delay):
        one.finish()
    _refuse_contradictions(found)
    return found


def span(taken: Fields, name: str) -> tuple[float, float] | None:
    """Two rising finite numbers, or None when absent.

    Raises
    ------
    InputError
        For anything else.
    """
    value = taken.take(name)
    return None if value is None else _pair(value, taken.where, name)


def _pair(value: Any, where: str, name: str) -> tuple[float, float]:
    good = (
        isinstance(value, list) and len(value) == 2
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e12 for v in value)
        and value[0] < value[1]
    )  # fmt: skip
    if not good:
        raise InputError(where, name, str(value), "two numbers, the smaller first, such as [0.0, 0.2]")
    return float(value[0]), float(value[1])


def _pairs(taken: Fields, name: str) -> tuple[tuple[float, float], ...]:
    value = taken.take(name)
    if value is None:
        return ()
    listed = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    return tuple(_pair(v, taken.where, name) for v in listed)


def _checked_flag(value: Any, where: str, name: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise InputError(where, name, str(value), "true or false")
    return value


def _flag(taken: Fields, name: str) -> bool | None:
    return _checked_flag(taken.take(name), taken.where, name)


def _names(taken: Fields, name: str) -> tuple[str, ...]:
    value = taken.take(name)
    listed = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(v, str) and v.strip() for v in listed):
        raise InputError(taken.where, name, str(value), "names of peaks or regions")
    return tuple(v.strip() for v in listed)


def _nuclide(taken: Fields) -> str | None:
    name = taken.text("nuclide")
    return None if name is None else nuclide(name).name


def _role(taken: Fields) -> tuple[Role, tuple[str, ...]]:
    """Role and species. ``role = "free"`` and ``"colloid"`` are impurities by themselves; species alone settle the role.

    Raises
    ------
    InputError
        For a role that contradicts the species.
    """
    role, species = taken.word("role", _ROLES), _names(taken, "contains")
    species = tuple(dict.fromkeys(s.strip().lower() for name in species for s in name.split("+") if s.strip()))
    if role in _SPECIES:
        if species and species != (role,):
            raise InputError(taken.where, "role", role, f'contains = ["{role}"] alone, or no role beside contains')
        return "impurity", (role,)
    if not species:
        return role or "", ()  # type: ignore[return-value]  # word allows no other
    settled: Role = "product" if species == ("product",) else "" if "product" in species else "impurity"
    if role is not None and role != settled:
        needed = f"the role that what it contains has: {settled or 'none, for the product is not alone there'}"
        raise InputError(taken.where, "role", role, needed)
    return settled, species


def _baseline(taken: Fields) -> BaselineRule:
    return BaselineRule(
        model=taken.word("model", _MODELS),
        windows=(*_pairs(taken, "windows_mm"), *_pairs(taken, "windows_min")),
        windows_rf=_pairs(taken, "windows_rf"),
        lam=taken.number("lam", above=0.0),
        per_point=taken.number("per_point", least=0.0),
        per_point_u=taken.number("per_point_u", least=0.0) or 0.0,
    )


def _detection(taken: Fields) -> Detection:
    base = Detection()
    found = Detection(
        threshold=taken.number("threshold", above=0.0) or base.threshold,
        smoothing_points=taken.number("smoothing_points", above=0.0) or base.smoothing_points,
        least_percent=taken.number("least_percent", least=0.0, most=100.0) or 0.0,
        exclude=_pairs(taken, "exclude_min"),
    )
    taken.finish()
    return found


def _recovery(taken: Fields, where: str) -> Recovery | None:
    value = taken.take("recovery")
    if value is None:
        return None
    inner = Fields(value, f"{where}, recovery")
    injected, u = inner.number("injected_area", above=0.0), inner.number("injected_area_u", least=0.0)
    inner.finish()
    if injected is None or u is None:
        raise InputError(
            inner.where, "injected_area", "nothing", "injected_area and injected_area_u, in the unit of the areas"
        )
    return Recovery(injected=injected, injected_u=u)


def _region(taken: Fields) -> RegionRule:
    role, species = _role(taken)
    found = RegionRule(
        name=taken.text("name", required=True) or "", rf=span(taken, "rf"), mm=span(taken, "mm"), role=role,
        contains=species,
    )  # fmt: skip
    taken.finish()
    if (found.rf is None) == (found.mm is None):
        raise InputError(taken.where, "rf", "nothing" if found.rf is None else "rf and mm", "rf or mm, one of them")
    return found


def _peak(taken: Fields) -> PeakRule:
    role, species = _role(taken)
    skim = taken.word("skim", ("tangent", "exponential"))
    found = PeakRule(
        name=taken.text("name", required=True) or "",
        window_min=span(taken, "window_min"),
        retention_min=taken.number("retention_min", least=0.0),
        tolerance_min=taken.number("tolerance_min", above=0.0),
        rrt=span(taken, "rrt"),
        role=role,
        contains=species,
        skim=skim,  # type: ignore[arg-type]  # word allows no other
        parent=taken.text("parent") or "",
    )
    taken.finish()
    stated = [found.window_min is not None, found.retention_min is not None, found.rrt is not None]
    if sum(stated) != 1:
        raise InputError(taken.where, found.name, f"{sum(stated)} of them", "one of window_min, retention_min and rrt")
    if found.retention_min is not None and found.tolerance_min is None:
        raise InputError(taken.where, "tolerance_min", "nothing", "how far from retention_min the peak may be")
    return found


def _edit(taken: Fields) -> Edit:
    found = Edit(
        peak=taken.text("peak", required=True) or "",
        reason=taken.text("reason", required=True) or "",
        user=taken.text("user", required=True) or "",
        start=taken.number("start_min", least=0.0) or taken.number("start_mm"),
        end=taken.number("end_min", least=0.0) or taken.number("end_mm"),
        remove=bool(_flag(taken, "remove")),
        time=str(taken.moment("time") or ""),
    )
    taken.finish()
    if not found.remove and found.start is None and found.end is None:
        raise InputError(taken.where, "start_min", "nothing", "a new start or end, or remove = true")
    return found


def _refuse_contradictions(found: ChromatogramMethod) -> None:
    where = found.where
    if found.regions and found.peaks:
        raise InputError(where, "regions", "regions and peaks", "regions of a strip or peaks of a run, not both")
    if (found.kind == "tlc" and found.peaks) or (found.kind == "hplc" and found.regions):
        raise InputError(where, "kind", found.kind, "hplc for peaks, tlc for regions")
    names = [*(r.name for r in found.regions), *(p.name for p in found.peaks)]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InputError(where, "name", twice[0], "each name once")
    if found.decay_correction and found.nuclide is None:
        raise InputError(where, "nuclide", "nothing", "the nuclide whose decay is corrected")
    if found.delay_s is not None and found.delay_match_min is not None:
        raise InputError(where, "delay", "seconds and match_min", "one of them")
    if found.baseline.per_point is not None and found.baseline.model not in (None, "constant"):
        raise InputError(where, "per_point", found.baseline.model, "a constant baseline")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name != "where"}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return value
