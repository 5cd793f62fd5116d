"""Radio-TLC: regions of a strip by Rf between a stated origin and front, with everything between them accounted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy import baseline as lines
from fusin.radiopharmacy.baseline import Baseline, BoolArray
from fusin.radiopharmacy.chromatogram import Trace, bin_edges
from fusin.radiopharmacy.chromatogram_corrections import Signal, prepared
from fusin.radiopharmacy.chromatogram_edits import edited_parts, recorded
from fusin.radiopharmacy.chromatogram_method import ChromatogramMethod, RegionRule
from fusin.radiopharmacy.chromatogram_run import (
    ChromatogramRun,
    Piece,
    decay_of,
    doubt_unassigned,
    gaps,
    percentages,
    purity,
)
from fusin.radiopharmacy.integration import Areas, Part, integrate
from fusin.radiopharmacy.peak_detection import noise_variance
from fusin.radiopharmacy.suitability import CurrieLimits, currie_limits

__all__ = ["evaluate_tlc", "region_bounds"]


def region_bounds(region: RegionRule, method: ChromatogramMethod, *, where: str) -> tuple[float, float]:
    """Bounds of a region in millimetres.

    Raises
    ------
    InputError
        For a region by Rf without origin and front: an Rf has no meaning without them.
    """
    if region.mm is not None:
        return region.mm
    if region.rf is None:
        raise InputError(where, region.name, "no bounds", "rf or mm")
    origin, front = _ends(method, where, region.name)
    ends = [origin + rf * (front - origin) for rf in region.rf]
    return min(ends), max(ends)


def evaluate_tlc(trace: Trace, method: ChromatogramMethod, log: NoticeLog) -> ChromatogramRun:
    """Evaluate a strip.

    Parameters
    ----------
    trace : signal over distance
    method : origin, front, regions, baseline, denominator, decay
    log : receives what was decided and doubted

    Raises
    ------
    InputError
        Without regions, without origin and front where Rf is used, for regions that overlap or leave the strip, and for
        a baseline without its windows.
    """
    where = trace.where
    if not method.regions:
        raise InputError(
            where, "regions", "nothing", "regions of the strip, such as --region origin=0-0.2 with --origin and --front"
        )
    if method.origin_mm is not None and method.front_mm is not None:
        origin, front = _ends(method, where, "regions")
        if front < origin:
            log.warning("STRIP_REVERSED", f"the front at {front:g} mm lies before the origin at {origin:g} mm: Rf runs against the "
                        "distance; exchange them if that is not meant", where=where, raw=front - origin)  # fmt: skip
    signal = prepared(
        trace, log, decay=decay_of(trace, method, log),
        dead_time_s=None if method.dead_time_us is None else method.dead_time_us * 1e-6,
        dead_time_model=method.dead_time_model,
    )  # fmt: skip
    base = _baseline(signal, method, log)
    if signal.poisson is None or signal.y.min() < 0:
        free = _inside(signal, _windows(method, where))
        signal = signal.with_noise(noise_variance(signal, base, free))
    parts = sorted(
        (
            Part(name=r.name, start=b[0], end=b[1])
            for r in method.regions
            for b in [region_bounds(r, method, where=where)]
        ),
        key=lambda p: p.start,
    )
    roles = _roles(method, where)
    automatic = parts
    parts, changes = edited_parts(parts, method.edits, where=where, log=log)
    run = _evaluated(trace, signal, base, method, parts, roles, log)
    if not changes:
        return run
    before = _evaluated(trace, signal, base, method, automatic, roles, NoticeLog())
    return recorded(run, before, changes)


def _evaluated(
    trace: Trace, signal: Signal, base: Baseline, method: ChromatogramMethod, parts: Sequence[Part],
    roles: Mapping[str, str], log: NoticeLog,
) -> ChromatogramRun:  # fmt: skip
    where = trace.where
    whole = method.denominator in ("strip", "run")
    if method.denominator is None:
        log.info("DENOMINATOR_REGIONS", "percentages refer to the sum of the regions; the rest of the strip is told beside them",
                 where=where, used="regions")  # fmt: skip
    rest = gaps(signal, parts, method.strip_mm)
    areas = integrate(signal, base, [*parts, *rest])
    count = len(parts)
    shares, unassigned = percentages(areas, count, whole=whole, level=method.level, log=log, where=where)
    doubt_unassigned(unassigned, shares, method, log, where=where)
    products = [i for i, p in enumerate(parts) if roles[p.name] == "product"]
    impure = [i for i, p in enumerate(parts) if roles[p.name] == "impurity"]
    rcp, reason = purity(areas, products, count, whole=whole, level=method.level)
    mixed = [r for r in method.regions if "product" in r.contains and len(r.contains) > 1]
    if mixed and not products:
        beside = " and ".join(s for s in mixed[0].contains if s != "product")
        reason = f"{mixed[0].name} holds {beside} beside the product, which this system alone cannot tell apart"
    for one in (r for r in mixed if roles[r.name] == "product"):
        log.warning("PRODUCT_NOT_ALONE", f"{one.name} holds {' and '.join(one.contains)}: its percentage is more than that of the "
                    "product", where=where)  # fmt: skip
    impurity, _ = purity(areas, impure, count, whole=whole, level=method.level)
    area_u = areas.u()
    ends = (method.origin_mm, method.front_mm)
    species = {r.name: r.contains for r in method.regions}
    pieces = tuple(
        Piece(name=p.name, start=p.start, end=p.end, area=float(areas.area[i]), area_u=float(area_u[i]),
              percent=shares[i], role=roles[p.name], contains=species.get(p.name, ()), rf=_rf(p, ends))
        for i, p in enumerate(parts)
    )  # fmt: skip
    rest_area, rest_u = _summed(areas, range(count, areas.area.size))
    return ChromatogramRun(
        kind="tlc", trace=trace, signal=signal, baseline=base, method=method, pieces=pieces,
        denominator="strip" if whole else "regions", unassigned=unassigned, unassigned_area=rest_area,
        unassigned_area_u=rest_u, rcp=rcp, rcp_reason=reason, impurity=impurity, areas=areas, limits=_limits(areas, products),
    )  # fmt: skip


def _ends(method: ChromatogramMethod, where: str, what: str) -> tuple[float, float]:
    origin, front = method.origin_mm, method.front_mm
    if origin is None or front is None:
        missing = "origin_mm" if origin is None else "front_mm"
        raise InputError(where, missing, "nothing", f"origin and front in mm (--origin, --front), for the Rf of {what}")
    if front == origin:
        raise InputError(where, "front_mm", front, f"another place than the origin at {origin:g} mm: they must differ")
    return origin, front


def _rf(part: Part, ends: tuple[float | None, float | None]) -> tuple[float, float] | None:
    origin, front = ends
    if origin is None or front is None:
        return None
    ends_rf = [(at - origin) / (front - origin) for at in (part.start, part.end)]
    return min(ends_rf), max(ends_rf)


def _windows(method: ChromatogramMethod, where: str) -> list[tuple[float, float]]:
    found = list(method.baseline.windows)
    for low, high in method.baseline.windows_rf:
        origin, front = _ends(method, where, "baseline windows")
        ends = [origin + rf * (front - origin) for rf in (low, high)]
        found.append((min(ends), max(ends)))
    return found


def _inside(signal: Signal, windows: Sequence[tuple[float, float]]) -> BoolArray:
    inside = np.zeros(signal.x.size, dtype=bool)
    for low, high in windows:
        inside |= (signal.x >= low) & (signal.x <= high)
    return inside


def _baseline(signal: Signal, method: ChromatogramMethod, log: NoticeLog) -> Baseline:
    rule, where, y = method.baseline, signal.trace.where, signal.y
    windows = _windows(method, where)
    model = rule.model or ("constant" if windows or rule.per_point is not None else None)
    if model is None:
        log.warning("BACKGROUND_NOT_SUBTRACTED", "no baseline was stated, so nothing is subtracted: state windows without activity "
                    "(--blank), or model = \"none\" when the background is known to be nothing", where=where)  # fmt: skip
        return lines.no_baseline(y)
    if model == "none":
        return lines.no_baseline(y)
    if rule.per_point is not None:
        return lines.given(y, value=rule.per_point, u=rule.per_point_u)
    if model in ("arpls", "asls"):
        return lines.penalised(y, model="arpls" if model == "arpls" else "asls", lam=rule.lam, where=where)
    if model == "local":
        raise InputError(where, "baseline", "local", "constant, linear, arpls, asls or none on a strip")
    if not windows:
        raise InputError(where, "baseline", f"a {model} baseline without windows",
                         "windows without activity (windows_mm, windows_rf or --blank), or per_point of a blank strip")  # fmt: skip
    edges = bin_edges(signal.x)
    for low, high in windows:
        if high < edges[0] or low > edges[-1]:
            raise InputError(where, "baseline", f"a window of {low:g} to {high:g} mm",
                             f"windows on the strip, {edges[0]:g} to {edges[-1]:g} mm")  # fmt: skip
    inside = _inside(signal, windows)
    if model == "constant":
        return lines.constant(y, inside, where=where)
    return lines.linear(signal.x, y, inside, where=where)


def _roles(method: ChromatogramMethod, where: str) -> dict[str, str]:
    roles: dict[str, str] = {r.name: r.role for r in method.regions}
    for role, names in (("product", method.products), ("impurity", method.impurities)):
        for name in names:
            if name not in roles:
                raise InputError(where, role, name, "the name of a region: " + ", ".join(roles))
            roles[name] = role
    return roles


def _summed(areas: Areas, places: range) -> tuple[float, float]:
    if not len(places):
        return 0.0, 0.0
    weights = np.zeros(areas.area.size)
    weights[list(places)] = 1.0
    variance = float(weights @ areas.covariance @ weights) + float(
        (weights * areas.per_area * np.maximum(areas.area, 0)).sum()
    )
    return float(weights @ areas.area), float(np.sqrt(max(variance, 0.0)))


def _limits(areas: Areas, products: Sequence[int]) -> CurrieLimits | None:
    if not products or not areas.counted:
        return None
    i = products[0]
    return currie_limits(float(areas.covariance[i, i]), per_area=float(areas.per_area[i]))
