"""What one chromatogram says: its parts with percentages, what lies between them, purity, shapes and edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fusin.errors import InputError, NotComputable
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.baseline import Baseline
from fusin.radiopharmacy.chromatogram import Trace, bin_edges
from fusin.radiopharmacy.chromatogram_corrections import Decay, Signal
from fusin.radiopharmacy.chromatogram_method import ChromatogramMethod
from fusin.radiopharmacy.integration import Areas, Part, Skim
from fusin.radiopharmacy.peak_fit import PeakFit
from fusin.radiopharmacy.radiochemical_purity import Percentage, percentage
from fusin.radiopharmacy.suitability import CurrieLimits, PeakShape
from fusin.stats.results import Estimate
from fusin.tabular.columns import Column

__all__ = [
    "PIECE_COLUMNS",
    "AppliedEdit",
    "ChromatogramRun",
    "Piece",
    "decay_of",
    "doubt_unassigned",
    "gaps",
    "percentages",
    "purity",
]

PIECE_COLUMNS = (
    Column("name", "string", "peak or region"),
    Column("role", "string", "product, impurity, or empty"),
    Column("start", "float64", "start on the axis, in minutes (HPLC) or millimetres (TLC)"),
    Column("end", "float64", "end on the axis"),
    Column("apex", "float64", "place of the highest point; empty for regions"),
    Column("rf_start", "float64", "start as Rf; empty for HPLC, and without origin and front"),
    Column("rf_end", "float64", "end as Rf"),
    Column("area", "float64", "signed net area, corrected to the start of the run where decay was corrected"),
    Column("area_u", "float64", "standard uncertainty of the area"),
    Column("percent", "float64", "percentage of the denominator"),
    Column("percent_low", "float64", "lower limit of its interval"),
    Column("percent_high", "float64", "upper limit of its interval"),
    Column("percent_method", "string", "method of the interval"),
    Column("percent_u", "float64", "standard uncertainty of the percentage, in percent points"),
    Column("how", "string", "window, file, found, tangent, exponential, edited, or the fitted shape"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One region or peak.

    Attributes
    ----------
    name, start, end : bounds on the axis (min or mm)
    area, area_u : signed net area with its standard uncertainty
    percent : of the denominator; None when that is not above its noise
    role : ``product``, ``impurity`` or empty
    contains : species that lie in it, as the method says
    apex : place of the highest point; None for regions
    how : ``window``, ``found``, ``tangent``, ``exponential``, the name of a fitted shape, or ``edited``
    rf : bounds as Rf, of a strip
    """

    name: str
    start: float
    end: float
    area: float
    area_u: float
    percent: Percentage | None
    role: str = ""
    contains: tuple[str, ...] = ()
    apex: float | None = None
    how: str = "window"
    rf: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedEdit:
    """A manual change with what stood before and after it."""

    peak: str
    reason: str
    user: str
    time: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChromatogramRun:
    """One run or strip, evaluated.

    Attributes
    ----------
    kind : ``hplc`` or ``tlc``
    signal, baseline : what was integrated
    pieces : peaks or regions in the order of the axis
    denominator : what the percentages refer to: ``regions`` or ``strip``, ``peaks`` or ``run``
    unassigned : share of the whole strip or run that lies outside of all pieces
    unassigned_area : its net area, with ``unassigned_area_u``
    rcp : sum of the products, or None with ``rcp_reason``
    impurity : share of what the method calls impurity, together; None when nothing is called so
    areas : of the pieces, and after them of what lies between
    limits : Currie limits of a peak as wide as the product's, in the unit of the areas
    recovery : everything that came out, of what was injected
    rcp_of_injected : the product, of what was injected
    other : channels of the same run for the plot, such as UV
    """

    kind: Literal["hplc", "tlc"]
    trace: Trace
    signal: Signal
    baseline: Baseline
    method: ChromatogramMethod
    pieces: tuple[Piece, ...]
    denominator: str
    unassigned: Percentage | None
    unassigned_area: float
    unassigned_area_u: float
    rcp: Estimate | None
    rcp_reason: str
    impurity: Estimate | None
    areas: Areas
    skims: tuple[Skim, ...] = ()
    fits: tuple[PeakFit, ...] = ()
    shapes: tuple[PeakShape, ...] = ()
    limits: CurrieLimits | None = None
    recovery: Estimate | None = None
    rcp_of_injected: Estimate | None = None
    delay_s: float | None = None
    edits: tuple[AppliedEdit, ...] = ()
    not_found: tuple[str, ...] = ()
    other: tuple[Trace, ...] = field(default=())

    @property
    def system(self) -> str:
        """Name of the system, or of the file."""
        return self.method.system or self.trace.where

    def share(self, parts: Sequence[int], *, without: Sequence[int] = ()) -> Estimate:
        """Percentage of some pieces together, of the denominator of the run, or of that without some others.

        Raises
        ------
        NotComputable
            When what it refers to is not above its noise.
        """
        whole = self.denominator in ("strip", "run")
        base = [i for i in range(self.areas.area.size if whole else len(self.pieces)) if i not in without]
        return percentage(self.areas, list(parts), base, level=self.method.level).estimate


def decay_of(trace: Trace, method: ChromatogramMethod, log: NoticeLog) -> Decay:
    """The decision on decay across the run; it is somebody's, never the program's.

    Raises
    ------
    InputError
        For a radio channel, or one of unknown kind, without a decision.
    """
    where = trace.where
    if trace.channel == "uv":
        if method.decay_correction:
            log.info(
                "DECAY_NOT_FOR_UV",
                f"{trace.name or 'the channel'} is no radio channel: no decay correction",
                where=where,
            )
        return Decay(nuclide=None)
    wanted = method.decay_correction
    if wanted is None and method.nuclide is not None:
        wanted = True
    if wanted is None:
        kind = "radio channel" if trace.channel == "radio" else f"channel in {trace.y_unit} of an unnamed detector"
        raise InputError(where, "decay_correction", f"no decision for a {kind}",
                         "a nuclide (--nuclide Ga-68), decay_correction = false (--no-decay-correction), "
                         'or channel = "uv"')  # fmt: skip
    if not wanted:
        shown = f", although {method.nuclide} decays" if method.nuclide else ""
        log.info("DECAY_NOT_CORRECTED", f"decay across the run is not corrected, as was decided{shown}", where=where)
        return Decay(nuclide=None)
    if method.nuclide is None:
        raise InputError(where, "nuclide", "nothing", "the nuclide whose decay is corrected (--nuclide Ga-68)")
    name = nuclide(method.nuclide).name
    log.info("DECAY_CORRECTED", f"decay of {name} across the run is corrected to its start", where=where, used=name)
    return Decay(nuclide=name, scan_duration_s=method.scan_duration_s, reverse=method.scan_reverse)


def gaps(signal: Signal, parts: Sequence[Part], bounds: tuple[float, float] | None = None) -> list[Part]:
    """What lies between and beside the parts, as parts of its own."""
    edges = bin_edges(signal.x)
    low, high = bounds or (float(edges[0]), float(edges[-1]))
    least = 1e-9 * (high - low)
    out: list[Part] = []
    at = low
    for part in sorted(parts, key=lambda p: p.start):
        if part.start - at > least:
            out.append(Part(name=f"unassigned {len(out) + 1}", start=at, end=part.start))
        at = max(at, part.end)
    if high - at > least:
        out.append(Part(name=f"unassigned {len(out) + 1}", start=at, end=high))
    return out


def percentages(
    areas: Areas, count: int, *, whole: bool, level: float, log: NoticeLog, where: str
) -> tuple[list[Percentage | None], Percentage | None]:
    """Percentages of the first ``count`` areas, and of the rest (the gaps) among all.

    A denominator that is not above its noise gives None and a warning, because each number would be meaningless.
    """
    everything, chosen = list(range(areas.area.size)), list(range(count))
    base = everything if whole else chosen
    try:
        shares: list[Percentage | None] = [percentage(areas, [i], base, level=level) for i in chosen]
    except NotComputable as err:
        log.warning("PERCENT_NOT_SAID", str(err), where=where)
        return [None] * count, None
    rest: Percentage | None = None
    if len(everything) > count:
        try:
            rest = percentage(areas, everything[count:], everything, level=level)
        except NotComputable as err:
            log.warning("UNASSIGNED_NOT_SAID", str(err), where=where)
    return shares, rest


def purity(
    areas: Areas, products: Sequence[int], count: int, *, whole: bool, level: float
) -> tuple[Estimate | None, str]:
    """Percentage of all products together, or None with the reason."""
    if not products:
        return None, "no peak or region is named as the product"
    base = list(range(areas.area.size if whole else count))
    try:
        return percentage(areas, list(products), base, level=level).estimate, ""
    except NotComputable as err:
        return None, str(err)


def doubt_unassigned(
    unassigned: Percentage | None,
    shares: Sequence[Percentage | None],
    method: ChromatogramMethod,
    log: NoticeLog,
    *,
    where: str,
) -> None:
    """Warn of activity outside of all parts: above the stated limit, or without one above noise and what it could hide.

    A share below the standard uncertainty of every part changes no conclusion and is told in the table only.
    """
    if unassigned is None:
        return
    limit, low = method.unassigned_limit_percent, unassigned.estimate.low
    least = max((s.u for s in shares if s is not None), default=0.0)
    if limit is not None and unassigned.value > limit:
        log.warning("UNASSIGNED_ACTIVITY", f"{unassigned.value:.2f} % lies outside of all regions or peaks, more than the limit of "
                    f"{limit:g} %", where=where, raw=unassigned.value, used=limit)  # fmt: skip
    elif limit is None and low is not None and low > 0.0 and unassigned.value > least:
        log.warning("UNASSIGNED_ACTIVITY", f"{unassigned.value:.2f} % lies outside of all regions or peaks, more than counting and "
                    "baseline explain", where=where, raw=unassigned.value)  # fmt: skip
