"""A marrow case from TOML, and chains of uncertainty from TOML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fusin.dosimetry.case_fields import CaseFields, estimate_from, read_case
from fusin.dosimetry.marrow import NAMED_RMECFF, BloodCurve, MarrowRegion, active_marrow_g, sgouros_ratio
from fusin.dosimetry.nuclide_exchange import physical_half_life_h
from fusin.dosimetry.uncertainty import DoseChain, RecoveryCurve, volume_u_relative
from fusin.errors import InputError, NotComputable
from fusin.nuclides import nuclide
from fusin.stats.results import Estimate

__all__ = ["MarrowCase", "read_chains", "read_marrow_case"]

# Evaluations of a decay differ by less; the same share finds mistaken units in S values (organ_energy).
_MOST_ABSORBED = 1.05
# People round half-lives.
_LONGEST = 1.005


@dataclass(frozen=True, slots=True, kw_only=True)
class MarrowCase:
    """What a marrow dose needs.

    Attributes
    ----------
    nuclide : canonical name
    absorbed_kev : energy that active marrow absorbs per decay in it
    energy_source : where that comes from
    blood, regions, cross_gy, cross_t_eff_h : see :func:`fusin.dosimetry.marrow.marrow_dose`
    residual_day : day after administration for which the dose that is still to come is wanted
    """

    nuclide: str
    absorbed_kev: Estimate
    energy_source: str
    blood: BloodCurve | None
    regions: tuple[MarrowRegion, ...]
    cross_gy: Estimate | None
    cross_t_eff_h: float | None
    residual_day: float | None


def read_marrow_case(path: Path) -> MarrowCase:
    """A case with ``[energy]``, ``[blood]``, ``[[region]]`` and ``[cross]``.

    Raises
    ------
    InputError
        For a field that is missing, misspelt or impossible; for energies or masses without a source; for more energy than a
        decay has, and half-lives beyond physical decay.
    """
    case = read_case(path)
    name = nuclide(case.text("nuclide", required=True)).name
    energy = case.table("energy")
    if energy is None:
        raise InputError(
            path.name, "energy", "nothing", "[energy] with absorbed_kev or electron_absorbed_fraction, and source"
        )
    kev, source = _energy(energy, name)
    blood, cross = case.table("blood"), case.table("cross")
    cross_gy, cross_t_eff_h = None, None
    if cross is not None:
        cross_gy = cross.estimate("dose_gy", zero=True)
        if cross_gy is None:
            raise InputError(cross.where, "dose_gy", "nothing", "the dose from activity elsewhere")
        cross_t_eff_h = _half_life(cross, name)
        cross.finish()
    found = MarrowCase(
        nuclide=name, absorbed_kev=kev, energy_source=source, blood=None if blood is None else _blood(blood, name),
        regions=tuple(_region(f, name) for f in case.tables("region")), cross_gy=cross_gy, cross_t_eff_h=cross_t_eff_h,
        residual_day=case.number("residual_day", least=0.0),
    )  # fmt: skip
    case.finish()
    return found


def read_chains(path: Path) -> tuple[tuple[str, DoseChain], ...]:
    """Chains ``[[dose]]`` with their names.

    Raises
    ------
    InputError
        For a field that is missing, misspelt or impossible, and for a name that stands twice.
    """
    case = read_case(path)
    found: list[tuple[str, DoseChain]] = []
    for fields in case.tables("dose"):
        name = fields.text("name", required=True)
        if name in {n for n, _ in found}:
            raise InputError(fields.where, "name", name, "each name once")
        found.append((name, _chain(fields)))
    case.finish()
    if not found:
        raise InputError(path.name, "dose", "none", "at least one [[dose]]")
    return tuple(found)


def _energy(fields: CaseFields, name: str) -> tuple[Estimate, str]:
    kev, share = fields.estimate("absorbed_kev"), fields.estimate("electron_absorbed_fraction")
    if (kev is None) == (share is None):
        raise InputError(
            fields.where, "absorbed_kev or electron_absorbed_fraction", "both" if kev else "neither", "one of them"
        )
    source = fields.text("source", required=True)
    fields.finish()
    from fusin.dosimetry.emissions import emissions, known_emitters

    if kev is not None:
        own = emissions(name) if name in known_emitters() else None
        if own is not None and not own.missing:
            all_kev = own.alpha_kev_per_decay + own.electron_kev_per_decay + own.photon_kev_per_decay
            if (kev.value or 0.0) > _MOST_ABSORBED * all_kev:
                raise InputError(fields.where, "absorbed_kev", kev.value,
                                 f"no more energy than {name} emits per decay, {all_kev:.4g} keV")  # fmt: skip
        return kev, source
    if emissions(name).alphas:
        raise NotComputable(f"energy absorbed per decay of {name}", "a fraction of electrons leaves out its alphas",
                            "absorbed_kev with alphas, from a skeletal model", "ALPHAS_NOT_IN_TABLE")  # fmt: skip
    total = emissions(name).electron_kev_per_decay
    if share is None or share.value is None or share.value > 1.0:
        raise InputError(
            fields.where, "electron_absorbed_fraction", share.value if share else None, "a fraction up to 1"
        )
    low, high = share.low, share.high
    return estimate_from(
        share.value * total, low=None if low is None else low * total, high=None if high is None else high * total,
        u_percent=None, where=fields.where, field="electron_absorbed_fraction",
    ), f"{source}; electrons alone, {total:.1f} keV per decay of {name}"  # fmt: skip


def _blood(fields: CaseFields, name: str) -> BloodCurve:
    per_g, per_ml = fields.estimate("tia_mbq_h_per_g", zero=True), fields.estimate("tia_mbq_h_per_ml", zero=True)
    density = fields.number("density_g_ml", above=0.0)
    if (per_g is None) == (per_ml is None):
        raise InputError(
            fields.where, "tia_mbq_h_per_g or tia_mbq_h_per_ml", "both" if per_g else "neither", "one of them"
        )
    if per_ml is not None and density is None:
        raise InputError(
            fields.where, "density_g_ml", "nothing", "the density of blood, because activity is per millilitre"
        )
    ratio, hematocrit, rmecff = fields.number("ratio", above=0.0), fields.number("hematocrit"), fields.take("rmecff")
    if ratio is not None:
        if hematocrit is not None or rmecff is not None:
            raise InputError(fields.where, "ratio", ratio, "ratio with ratio_source, or hematocrit with rmecff")
        fields.text("ratio_source", required=True)
    else:
        ratio = sgouros_ratio(fields.needed("hematocrit"), _rmecff(rmecff, fields.where))
    half_life = _half_life(fields, name)
    fields.finish()
    if per_g is not None:
        return BloodCurve(tia_mbq_h_per_g=per_g, ratio=ratio, t_eff_h=half_life)
    one, factor = per_ml or Estimate(value=0.0, low=None, high=None, method="", n=1), 1.0 / (density or 1.0)
    scaled = Estimate(
        value=(one.value or 0.0) * factor, low=None if one.low is None else one.low * factor,
        high=None if one.high is None else one.high * factor, method=one.method, n=1, level=one.level, note=one.note,
    )  # fmt: skip
    return BloodCurve(tia_mbq_h_per_g=scaled, ratio=ratio, t_eff_h=half_life)


def _half_life(fields: CaseFields, name: str) -> float | None:
    """An effective half-life, which physical decay bounds."""
    value, physical = fields.number("t_eff_h", above=0.0), physical_half_life_h(name)
    if value is not None and value > _LONGEST * physical:
        raise InputError(fields.where, "t_eff_h", value,
                         f"an effective half-life of at most the {physical:.5g} h of {name}")  # fmt: skip
    return value


def _rmecff(value: object, where: str) -> float:
    if isinstance(value, str) and value in NAMED_RMECFF:
        return NAMED_RMECFF[value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise InputError(
        where, "rmecff", value if isinstance(value, str) else None, "a fraction, or one of " + ", ".join(NAMED_RMECFF)
    )


def _region(fields: CaseFields, nuclide_name: str) -> MarrowRegion:
    tia = fields.estimate("tia_mbq_h", zero=True)
    if tia is None:
        raise InputError(fields.where, "tia_mbq_h", "nothing", "the time-integrated activity of the region")
    mass = active_marrow_g(
        total_g=fields.number("total_g"), share=fields.number("share"), volume_ml=fields.number("volume_ml"),
        marrow_volume_share=fields.number("marrow_volume_share"), cellularity=fields.number("cellularity"),
        density_g_ml=fields.number("density_g_ml"),
    )  # fmt: skip
    marrow = estimate_from(mass, low=None, high=None, u_percent=fields.number("marrow_u_percent", least=0.0), where=fields.where,
                           field="marrow")  # fmt: skip
    out = MarrowRegion(name=fields.text("name", required=True), tia_mbq_h=tia, marrow_g=marrow,
                       source=fields.text("source", required=True), t_eff_h=_half_life(fields, nuclide_name))  # fmt: skip
    fields.finish()
    return out


def _chain(fields: CaseFields) -> DoseChain:
    volume = fields.needed("volume_ml", above=0.0)
    stated, voxel = fields.number("volume_u_percent", least=0.0), fields.number("outline_voxel_mm", above=0.0)
    outline = fields.number("outline_fwhm_mm", least=0.0)
    if (stated is None) == (voxel is None) or (voxel is None) != (outline is None):
        raise InputError(fields.where, "volume_u_percent", "both or neither" if outline is None else "outline_fwhm_mm",
                         "volume_u_percent, or outline_voxel_mm with outline_fwhm_mm")  # fmt: skip
    u = (
        stated / 100.0
        if stated is not None
        else volume_u_relative(volume_ml=volume, voxel_mm=voxel or 1.0, fwhm_mm=outline or 0.0)
    )
    recovery = fields.table("recovery")
    curve = None
    if recovery is not None:
        curve = RecoveryCurve(
            b1_ml=recovery.needed("b1_ml", above=0.0), b2=recovery.needed("b2", above=0.0),
            u_b1_ml=recovery.number("u_b1_ml", least=0.0) or 0.0, u_b2=recovery.number("u_b2", least=0.0) or 0.0,
            correlation=recovery.number("correlation", least=-1.0, most=1.0) or 0.0,
        )  # fmt: skip
        recovery.finish()

    def percent(name: str) -> float:
        return (fields.number(f"{name}_u_percent", least=0.0) or 0.0) / 100.0

    exponent, apart = fields.number("s_exponent", least=0.0), fields.flag("mass_measured_apart") or False
    out = DoseChain(
        dose_gy=fields.needed("dose_gy", above=0.0), volume_ml=volume, volume_u_relative=u,
        fwhm_mm=fields.number("fwhm_mm", above=0.0), recovery=curve, calibration_u=percent("calibration"), fit_u=percent("fit"),
        s_u=percent("s"), s_exponent=1.0 if exponent is None else exponent, density_u=percent("density"),
        mass_from_volume=not apart, mass_u=percent("mass"),
    )  # fmt: skip
    fields.finish()
    return out
