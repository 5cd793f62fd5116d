"""Radio-HPLC: peaks found or stated, their baseline, skims and fits, names by retention, and percentages with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.radiopharmacy import baseline as lines
from fusin.radiopharmacy.baseline import Baseline
from fusin.radiopharmacy.chromatogram import FloatArray, Trace
from fusin.radiopharmacy.chromatogram_corrections import Signal, prepared
from fusin.radiopharmacy.chromatogram_edits import edited_parts, recorded
from fusin.radiopharmacy.chromatogram_method import ChromatogramMethod
from fusin.radiopharmacy.chromatogram_run import (
    ChromatogramRun,
    Piece,
    decay_of,
    doubt_unassigned,
    gaps,
    percentages,
    purity,
)
from fusin.radiopharmacy.hplc_baseline import free_points, groups, inside_of, run_baseline
from fusin.radiopharmacy.hplc_names import Named, named_parts
from fusin.radiopharmacy.integration import Areas, Part, cover, integrate
from fusin.radiopharmacy.peak_detection import FoundPeak, find, noise_variance
from fusin.radiopharmacy.peak_fit import PeakFit, ShapeName, StartPeak, fit_peaks
from fusin.radiopharmacy.radiochemical_purity import column_recovery
from fusin.radiopharmacy.suitability import CurrieLimits, currie_limits, shapes
from fusin.stats.results import Estimate

__all__ = ["delay_by_peak", "evaluate_hplc"]

_HIGH_VALLEY = 0.1


def delay_by_peak(radio: Trace, uv: Trace, *, radio_min: float, uv_min: float, reach_min: float = 1.0) -> float:
    """Delay of the radio channel behind the UV channel [s], from the apex of one peak in both.

    Parameters
    ----------
    radio, uv : channels of one run
    radio_min, uv_min : about where the peak lies in each
    reach_min : how far from there the highest point is sought

    Raises
    ------
    InputError
        When there are no points around one of the two.
    """
    places = []
    for trace, at in ((radio, radio_min), (uv, uv_min)):
        near = np.flatnonzero(np.abs(trace.x - at) <= reach_min)
        if near.size < 3:
            raise InputError(trace.where, "match_min", at, f"a peak between {trace.x[0]:.4g} and {trace.x[-1]:.4g} min")
        places.append(_apex(trace.x, trace.y, int(near[trace.y[near].argmax()])))
    return (places[0] - places[1]) * 60.0


def evaluate_hplc(
    trace: Trace, method: ChromatogramMethod, log: NoticeLog, *, other: Sequence[Trace] = ()
) -> ChromatogramRun:
    """Evaluate a run.

    Parameters
    ----------
    trace : signal over time
    method : peaks, detection, baseline, decay, denominator
    log : receives what was decided and doubted
    other : further channels of the run, for the plot and for a delay that is taken from a peak in both

    Raises
    ------
    InputError
        For peaks that overlap or leave the run, and a decision on decay that nobody made.
    """
    where = trace.where
    delay = _delay(trace, method, other)
    signal = prepared(
        trace, log, decay=decay_of(trace, method, log),
        dead_time_s=None if method.dead_time_us is None else method.dead_time_us * 1e-6,
        dead_time_model=method.dead_time_model,
    )  # fmt: skip
    if delay and not abs(delay) / 60.0 < trace.x[-1] - trace.x[0]:
        raise InputError(
            where, "delay", delay, f"seconds less than the run lasts, {60.0 * (trace.x[-1] - trace.x[0]):.4g}"
        )
    if delay:
        signal = replace(signal, x=signal.x - delay / 60.0)
    found = _found(signal, method, log)
    named = named_parts(signal, found, method, log)
    automatic = named.parts
    parts, changes = edited_parts(automatic, method.edits, where=where, log=log)
    run = _evaluated(trace, signal, method, parts, named, log, delay, other)
    if not changes:
        return run
    return recorded(run, _evaluated(trace, signal, method, automatic, named, NoticeLog(), delay, other), changes)


def _delay(trace: Trace, method: ChromatogramMethod, other: Sequence[Trace]) -> float | None:
    if method.delay_s is not None:
        return method.delay_s
    if method.delay_match_min is None:
        return None
    if not other:
        raise InputError(trace.where, "match_min", "one channel", "a second channel in which the peak is sought")
    return delay_by_peak(trace, other[0], radio_min=method.delay_match_min[1], uv_min=method.delay_match_min[0])


def _found(signal: Signal, method: ChromatogramMethod, log: NoticeLog) -> tuple[FoundPeak, ...]:
    """Peaks of the search; none when the method states windows only, or the file's own are taken."""
    windowed = [p for p in method.peaks if p.window_min is not None]
    source = method.peaks_from
    if (
        source is None
        and not method.peaks
        and signal.trace.file_peaks
        and all(p.start_min is not None and p.end_min is not None for p in signal.trace.file_peaks)
    ):
        source = "file"
        log.info("PEAKS_FROM_FILE", f"bounds of the {len(signal.trace.file_peaks)} peaks that the file reports are used; "
                 "peaks_from = \"detect\" searches anew", where=signal.trace.where)  # fmt: skip
    if source in {"windows", "file"}:
        return ()
    spans = tuple(p.window_min for p in windowed if p.window_min is not None)
    settings = replace(method.detection, exclude=(*method.detection.exclude, *spans))
    found = find(signal, _preliminary(signal, method), settings)
    if signal.poisson is None or not found:
        return found
    # A smooth curve bends up below broad peaks and cuts their feet; the baseline that follows from them does not.
    parts = [
        Part(name=f"{n}", start=float(signal.x[p.first]), end=float(signal.x[p.last])) for n, p in enumerate(found)
    ]
    parts += [
        Part(name=p.name, start=p.window_min[0], end=p.window_min[1]) for p in windowed if p.window_min is not None
    ]
    base = run_baseline(signal, method, parts, NoticeLog(), found=[p.name for p in parts[: len(found)]])
    return find(signal, base, settings) or found


def _preliminary(signal: Signal, method: ChromatogramMethod) -> Baseline:
    """What peaks are searched above: the stated windows, else a smooth curve below the signal."""
    inside = inside_of(signal, method.baseline.windows)
    if inside.sum() >= 3:
        return lines.constant(signal.y, inside, where=signal.trace.where)
    if method.baseline.model == "none":
        return lines.no_baseline(signal.y)
    try:
        smooth = lines.penalised(signal.y, model="arpls", lam=None, where=signal.trace.where)
    except (NotComputable, ValueError):
        middle = float(np.median(signal.y))
        return lines.given(signal.y, value=middle, u=0.0)
    return smooth if signal.poisson is None else _centred(signal, smooth, method.detection.smoothing_points)


def _centred(signal: Signal, below: Baseline, smoothing_points: float) -> Baseline:
    """The curve in the middle of few counts: asymmetric weights take skewed noise for peaks and lie below its mean."""
    from scipy.ndimage import gaussian_filter1d

    net = gaussian_filter1d(signal.y - below.values, 4.0 * smoothing_points, mode="reflect")
    return replace(below, values=below.values + float(np.median(net)))


def _evaluated(
    trace: Trace, signal: Signal, method: ChromatogramMethod, parts: Sequence[Part], named: Named, log: NoticeLog,
    delay: float | None, other: Sequence[Trace],
) -> ChromatogramRun:  # fmt: skip
    where = trace.where
    if not parts:
        raise NotComputable("the percentages", f"no peak rises above the noise in {where}",
                            "a run with peaks, windows for them, or a lower threshold", "NO_PEAKS")  # fmt: skip
    sought = [n for n, h in named.how.items() if h == "found"]
    base = run_baseline(signal, method, parts, log, found=sought)
    free = free_points(signal, parts, sought)
    if signal.poisson is None or signal.y.min() < 0:
        # A chord is the signal itself outside of the peaks; what the search stood on is not.
        level = _preliminary(signal, method) if base.model == "local" else base
        signal = signal.with_noise(noise_variance(signal, level, free))
    whole = method.denominator in ("strip", "run")
    if method.denominator is None:
        log.info("DENOMINATOR_PEAKS", "percentages refer to the sum of the peaks; the rest of the run is told beside them",
                 where=where, used="peaks")  # fmt: skip
    areas = integrate(signal, base, [*parts, *gaps(signal, parts)])
    count = len(parts)
    areas, fits, how = _fitted(signal, base, method, parts, areas, log)
    parts, areas, count = _without_specks(parts, areas, count, method, log, where)
    shares, unassigned = percentages(areas, count, whole=whole, level=method.level, log=log, where=where)
    product = [i for i, p in enumerate(parts) if named.roles.get(p.name) == "product"]
    impure = [i for i, p in enumerate(parts) if named.roles.get(p.name) == "impurity"]
    missing = [n for n in named.missing if named.roles.get(n) == "product"]
    rcp, reason = purity(areas, product, count, whole=whole, level=method.level)
    if missing:
        rcp, reason = None, f"the product {missing[0]} was not found"
    impurity, _ = purity(areas, impure, count, whole=whole, level=method.level)
    area_u = areas.u()
    formed = shapes(signal, base, [(p.name, p.start, p.end) for p in parts],
                    product=parts[product[0]].name if product else None)  # fmt: skip
    tops = {s.name: s.retention_min for s in formed}
    species = {p.name: p.contains for p in method.peaks}
    pieces = tuple(
        Piece(name=p.name, start=p.start, end=p.end, area=float(areas.area[i]), area_u=float(area_u[i]),
              percent=shares[i], role=named.roles.get(p.name, ""), contains=species.get(p.name, ()), apex=tops.get(p.name),
              how=how.get(p.name) or p.skim or named.how.get(p.name, "window"))
        for i, p in enumerate(parts)
    )  # fmt: skip
    rest = list(range(count, areas.area.size))
    run = ChromatogramRun(
        kind="hplc", trace=trace, signal=signal, baseline=base, method=method, pieces=pieces,
        denominator="run" if whole else "peaks", unassigned=unassigned, unassigned_area=float(areas.area[rest].sum()),
        unassigned_area_u=float(math.sqrt(max(areas.covariance[np.ix_(rest, rest)].sum(), 0.0))), rcp=rcp, rcp_reason=reason,
        impurity=impurity, areas=areas, skims=areas.skims, fits=fits, delay_s=delay, not_found=named.missing, other=tuple(other),
        shapes=formed, limits=_limits(areas, product), recovery=_recovery(areas, method),
        rcp_of_injected=_recovery(areas, method, product),
    )  # fmt: skip
    _doubt(run, log)
    return run


def _fitted(
    signal: Signal, base: Baseline, method: ChromatogramMethod, parts: Sequence[Part], areas: Areas, log: NoticeLog
) -> tuple[Areas, tuple[PeakFit, ...], Mapping[str, str]]:
    """Areas of fitted shapes in place of those of drop lines, for each group of peaks that touch."""
    if method.fit is None:
        return areas, (), {}
    shape: ShapeName = method.fit  # type: ignore[assignment]  # the method allows no other word
    net, area = signal.y - base.values, areas.area.copy()
    fixed, per_area = areas.covariance.copy(), areas.per_area.copy()
    fits: list[PeakFit] = []
    how: dict[str, str] = {}
    for first, last in groups(signal, parts):
        inside = slice(first, last + 1)
        low, high = float(signal.x[first]), float(signal.x[last])
        members = [i for i, p in enumerate(parts) if low <= 0.5 * (p.start + p.end) <= high and p.skim is None]
        scale = np.gradient(signal.x)[inside] / signal.factor[inside]
        starts = [_start(signal.x, net, parts[i], float(np.median(scale))) for i in members]
        try:
            fit = fit_peaks(signal.x[inside], net[inside], starts, shape=shape, scale=scale,
                            poisson=None if signal.poisson is None else signal.poisson[inside],
                            under=np.maximum(base.values[inside], 0.0))  # fmt: skip
        except (NotComputable, InputError) as err:
            log.warning("FIT_FAILED", f"{err}; the areas of drop lines stand", where=signal.trace.where)
            continue
        fits.append(fit)
        for a, i in enumerate(members):
            area[i], per_area[i], how[parts[i].name] = fit.peaks[a].area, 0.0, shape
            fixed[i, :] = fixed[:, i] = 0.0
            fixed[i, members] = fixed[members, i] = fit.covariance[a]
    if not fits:
        return areas, (), {}
    fixed[:, :] += _baseline_covariance(signal, base, parts, areas, how)
    found = replace(
        areas, area=area, covariance=fixed, per_area=per_area, counted=False, source="covariance of the fit"
    )
    return found, tuple(fits), how


def _baseline_covariance(
    signal: Signal, base: Baseline, parts: Sequence[Part], areas: Areas, how: Mapping[str, str]
) -> FloatArray:
    """What the uncertainty of the baseline adds to fitted areas, which the fit itself takes as exact."""
    pulled = np.zeros((areas.area.size, signal.x.size))
    for i, part in enumerate(parts):
        if part.name in how:
            pulled[i] = base.pull(cover(signal.x, part.start, part.end) * signal.factor)
    variance = np.full(signal.x.size, signal.noise)
    if signal.poisson is not None:
        variance = variance + signal.poisson * np.maximum(base.values, 0.0)
    return np.asarray((pulled * variance) @ pulled.T)


def _start(x: FloatArray, net: FloatArray, part: Part, scale: float) -> StartPeak:
    """Apex and narrower half width at half height, which a neighbour has not widened."""
    inside = np.flatnonzero((x >= part.start) & (x <= part.end))
    apex = int(inside[net[inside].argmax()])
    half = 0.5 * net[apex]
    below_left = inside[(inside < apex) & (net[inside] < half)]
    below_right = inside[(inside > apex) & (net[inside] < half)]
    sides = [x[apex] - x[below_left[-1]]] if below_left.size else []
    sides += [x[below_right[0]] - x[apex]] if below_right.size else []
    sigma = (min(sides) if sides else 0.25 * (part.end - part.start)) / 1.1774
    return StartPeak(
        area=float(net[apex]) * sigma * math.sqrt(2.0 * math.pi) / scale, centre=float(x[apex]), sigma=float(sigma)
    )


def _without_specks(
    parts: Sequence[Part], areas: Areas, count: int, method: ChromatogramMethod, log: NoticeLog, where: str
) -> tuple[list[Part], Areas, int]:
    """Leave out found peaks below the stated least percentage, and say how many."""
    least, total = method.detection.least_percent, float(areas.area[:count].sum())
    stated = {p.name for p in method.peaks} | {e.peak for e in method.edits}
    keep = [i for i in range(count) if parts[i].name in stated or areas.area[i] >= 0.01 * least * total]
    if least <= 0.0 or len(keep) == count:
        return list(parts), areas, count
    gone = [parts[i].name for i in range(count) if i not in keep]
    log.info(
        "SMALL_PEAKS_LEFT_OUT", f"{len(gone)} peaks below {least:g} % were left out: {', '.join(gone[:8])}", where=where
    )
    return [parts[i] for i in keep], areas.take([*keep, *range(count, areas.area.size)]), len(keep)


def _apex(x: FloatArray, y: FloatArray, i: int) -> float:
    """Place of the parabola through the highest point and its neighbours."""
    if not 0 < i < x.size - 1:
        return float(x[i])
    a, b, c = (float(v) for v in y[i - 1 : i + 2])
    bend = a - 2.0 * b + c
    return float(x[i] + 0.5 * (a - c) / bend * 0.5 * (x[i + 1] - x[i - 1])) if bend < 0.0 else float(x[i])


def _limits(areas: Areas, products: Sequence[int]) -> CurrieLimits | None:
    if not products or not areas.counted:
        return None
    return currie_limits(
        float(areas.covariance[products[0], products[0]]), per_area=float(areas.per_area[products[0]]) or 1.0
    )


def _recovery(areas: Areas, method: ChromatogramMethod, parts: Sequence[int] | None = None) -> Estimate | None:
    """Share of what was injected: of everything that came out, or of some peaks; None where nothing is stated or asked for."""
    if method.recovery is None or parts == []:
        return None
    chosen = areas if parts is None else areas.take(parts)
    u = math.sqrt(
        max(float(chosen.covariance.sum()), 0.0) + float((chosen.per_area * np.maximum(chosen.area, 0.0)).sum())
    )
    return column_recovery(eluted=float(chosen.area.sum()), eluted_u=u, injected=method.recovery.injected,
                           injected_u=method.recovery.injected_u, level=method.level)  # fmt: skip


def _doubt(run: ChromatogramRun, log: NoticeLog) -> None:
    where = run.trace.where
    net, x = run.signal.y - run.baseline.values, run.signal.x
    fitted = {p.name for p in run.pieces if p.how not in ("window", "file", "found", "edited")}
    for one, two in pairwise(run.pieces):
        if one.end < two.start - float(np.median(np.diff(x))) or fitted & {one.name, two.name}:
            continue
        valley = float(net[np.abs(x - two.start).argsort()[:3]].mean())
        least = min(float(net[(x >= p.start) & (x <= p.end)].max(initial=0.0)) for p in (one, two))
        if valley > _HIGH_VALLEY * least > 0.0:
            log.warning("PEAKS_OVERLAP", f"the valley between {one.name} and {two.name} lies at {100.0 * valley / least:.0f} % of "
                        "the lower peak: a drop line moves area from one to the other; --fit emg, or skim in the method, "
                        "separates them", where=where, raw=valley / least)  # fmt: skip
    kept = run.recovery
    if kept is not None and kept.high is not None and kept.high < 100.0:
        product = run.rcp_of_injected
        of_all = "" if product is None else f"; of the injected activity {product.value:.2f} % is the product"
        log.warning("COLUMN_KEEPS_ACTIVITY", f"{kept.value:.2f} % of what was injected came out, so the purity of the run does not "
                    f"hold for the vial{of_all}", where=where, raw=kept.value)  # fmt: skip
    doubt_unassigned(run.unassigned, [p.percent for p in run.pieces], run.method, log, where=where)
