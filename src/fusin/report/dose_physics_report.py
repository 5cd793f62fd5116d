"""Sphere S values and voxel kernels for people: the number with its interval, what carries it, and how far the energy goes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fusin.dosimetry.emissions import Emissions, emissions, say_alpha_assumptions
from fusin.dosimetry.point_kernels import METHODS, radial_energy
from fusin.dosimetry.spheres import HEAVIEST_G, LIGHTEST_G, SphereS, sphere_s
from fusin.dosimetry.voxel_kernels import VoxelKernel, voxel_kernel
from fusin.provenance import Method, NoticeLog
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.plate import DOUBLE_MM, SERIES, Box, Entry, Figure, Plate, axis_over, left_margin, polyline
from fusin.report.table_text import Shown
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "INTERVAL",
    "KERNEL_COLUMNS",
    "NEIGHBOUR_COLUMNS",
    "SPHERE_COLUMNS",
    "energy_figure",
    "kernel_report",
    "sphere_report",
]

INTERVAL = (
    "coverage factor 2: emissions and their evaluation, Monte Carlo statistics, elastic scattering, stopping power"
)

SPHERE_COLUMNS = (
    Column("nuclide", "string", "name"),
    Column("mass_g", "float64", "mass of the sphere"),
    Column("radius_mm", "float64", "its radius"),
    Column("s_mgy_per_mbq_s", "float64", "S value: dose to the sphere per decay in it"),
    Column("s_mgy_per_mbq_s_low", "float64", "lower end of the interval (coverage factor 2)"),
    Column("s_mgy_per_mbq_s_high", "float64", "upper end of the interval"),
    Column("electron_fraction", "float64", "share of the electrons' energy that the sphere absorbs"),
    Column("photon_fraction", "float64", "share of the photons' energy that the sphere absorbs"),
    Column("absorbed_kev", "float64", "energy absorbed per decay"),
    Column("alpha_fraction", "float64", "share of the alphas' energy that the sphere absorbs; empty without alphas"),
)
NEIGHBOUR_COLUMNS = (
    Column("voxel", "string", "displacement from the source along slices, rows and columns"),
    Column("s_mgy_per_mbq_s", "float64", "S value: dose to that voxel per decay in the source voxel"),
    Column("share", "float64", "its share of the energy that the kernel absorbs"),
)
KERNEL_COLUMNS = (
    Column("slice", "int64", "displacement along the slices, in voxels"),
    Column("row", "int64", "displacement along the rows"),
    Column("column", "int64", "displacement along the columns"),
    Column("s_mgy_per_mbq_s", "float64", "S value"),
)
NEGLIGIBLE_KEV = 0.1
"""Photons of a nuclide that carry less than this per decay are not drawn [keV]."""

_SPHERE_METHOD = Method(
    "sphere-chords", "Geometric survival in a sphere: Berger 1970; S by MIRD Pamphlet 21, J Nucl Med 50 (2009) 477."
)
_VOXEL_METHOD = Method(
    "voxel-kernel",
    "Exact share of a point kernel between boxes (linear weights); S by MIRD Pamphlet 17, J Nucl Med 40 (1999) 11S.",
)


def sphere_report(nuclide: str, masses_g: Sequence[float], *, density: float, log: NoticeLog) -> JobOutput:
    """S values of spheres, with the curve over all masses.

    Parameters
    ----------
    nuclide : name
    masses_g : one or more masses [g]; the document leads with the first
    density : of sphere and surroundings [g/mL]
    log : receives notices

    Raises
    ------
    InputError
        For an unknown nuclide, or a mass or density outside of its range.
    NotComputable
        For a nuclide whose emissions are known in part.
    """
    found = [sphere_s(nuclide, mass, density) for mass in masses_g]
    emitted = emissions(nuclide)
    say_alpha_assumptions(nuclide, log)
    frame = to_frame([_sphere_row(s) for s in found], SPHERE_COLUMNS)
    table = JobTable(name="spheres", title="S values", frame=frame, shown=_shown_spheres(found))
    first = found[0]
    document = {
        **_sphere_json(first, emitted),
        "spheres": [_sphere_json(s, emitted) for s in found],
    }
    section = JobSection(
        name="spheres",
        title="Spheres with even activity",
        text=(_emission_sentence(emitted), f"Intervals: {INTERVAL}."),
        tables=(table,),
        figures=(_mass_figure(emitted.nuclide, density, found), energy_figure(emitted.nuclide, density)),
    )
    parameters = {"nuclide": emitted.nuclide, "masses_g": list(masses_g), "density_g_ml": density}
    return JobOutput(
        title=f"Sphere S values of {emitted.nuclide}",
        document=document,
        sections=(section,),
        summary=tuple(_sphere_sentence(s) for s in found),
        notices=log.notices,
        provenance=replace(provenance_of((), parameters), methods=(*_methods(emitted), _SPHERE_METHOD)),
    )


def kernel_report(
    nuclide: str, spacing_mm: tuple[float, float, float], *, density: float, size: int | None, medium: Any, part: Any,
    log: NoticeLog,
) -> JobOutput:  # fmt: skip
    """Voxel S values of one nuclide and grid.

    Parameters
    ----------
    nuclide : name
    spacing_mm : (slices, rows, columns)
    density : of the medium [g/mL]
    size : odd number of voxels along each axis, or None
    medium, part : as in `fusin.dosimetry.voxel_kernels.voxel_kernel`
    log : receives notices

    Raises
    ------
    InputError
        For an unknown nuclide, or a value outside of its range.
    NotComputable
        For a nuclide whose emissions are known in part.
    """
    kernel = voxel_kernel(nuclide, spacing_mm, density, size, medium=medium, part=part)
    say_alpha_assumptions(nuclide, log)
    if size is None and kernel.size > 11:
        log.info("KERNEL_ENLARGED", f"{kernel.size} voxels along each axis instead of 11, because the electrons of "
                 f"{kernel.nuclide} go further", raw=11, used=kernel.size)  # fmt: skip
    outside = kernel.energy_outside_kev / kernel.energy_emitted_kev
    section = JobSection(
        name="kernel",
        title="Voxel S values",
        text=(
            _emission_sentence(emissions(nuclide)),
            f"The kernel holds {1 - outside:.1%} of the energy; {kernel.energy_outside_kev:.1f} keV per decay leave it.",
            f"Interval of the source voxel: {INTERVAL}.",
        ),
        tables=(_neighbours(kernel), _voxels(kernel)),
        figures=(energy_figure(kernel.nuclide, density),),
    )
    parameters = {
        "nuclide": kernel.nuclide, "spacing_mm": list(kernel.spacing_mm), "density_g_ml": density, "size": kernel.size,
        "medium": kernel.medium, "part": kernel.part,
    }  # fmt: skip
    low, high = (kernel.self_mgy_per_mbq_s * (1 + k * kernel.u_relative) for k in (-2, 2))
    return JobOutput(
        title=f"Voxel kernel of {kernel.nuclide}",
        document=_kernel_json(kernel),
        sections=(section,),
        summary=(
            f"{kernel.nuclide}, voxels of {' x '.join(f'{s:g}' for s in kernel.spacing_mm)} mm, {density:g} g/mL: "
            f"source voxel {kernel.self_mgy_per_mbq_s:.4g} mGy/(MBq s) ({low:.4g} to {high:.4g})",
            f"{kernel.size} x {kernel.size} x {kernel.size} voxels absorb {kernel.energy_absorbed_kev:.1f} of "
            f"{kernel.energy_emitted_kev:.1f} keV per decay",
        ),
        notices=log.notices,
        provenance=replace(provenance_of((), parameters), methods=(*_methods(emissions(nuclide)), _VOXEL_METHOD)),
    )


def _methods(emitted: Emissions) -> tuple[Method, ...]:
    """Methods behind the kernels of a nuclide; those of alphas where it has any."""
    return tuple(Method(name, citation) for name, citation in METHODS.items() if name != "alphas" or emitted.alphas)


def _emission_sentence(emitted: Emissions) -> str:
    alphas = (
        f"{emitted.alpha_kev_per_decay:.1f} keV of alphas and recoiling nuclei, with all progeny, "
        if emitted.alphas
        else ""
    )
    return (
        f"{emitted.nuclide} emits {alphas}{emitted.electron_kev_per_decay:.2f} keV of electrons (standard uncertainty "
        f"{emitted.electron_u_kev:.2f}) and {emitted.photon_kev_per_decay:.2f} keV of photons per decay ({emitted.source})."
    )


def _sphere_sentence(s: SphereS) -> str:
    """S value with its interval, and the part of the alphas where there are any."""
    share = s.alpha_mgy_per_mbq_s / s.s_mgy_per_mbq_s
    alphas = f", {share:.1%} of it by alphas; absorbed dose, no RBE" if share > 0 else ""
    return (
        f"{s.nuclide}, sphere of {s.mass_g:g} g: S = {s.s_mgy_per_mbq_s:.4g} mGy/(MBq s) ({s.low:.4g} to {s.high:.4g}); "
        f"{s.absorbed_kev:.1f} keV absorbed per decay{alphas}"
    )


def _sphere_row(s: SphereS) -> dict[str, Any]:
    return {
        "nuclide": s.nuclide, "mass_g": s.mass_g, "radius_mm": s.radius_mm, "s_mgy_per_mbq_s": s.s_mgy_per_mbq_s,
        "s_mgy_per_mbq_s_low": s.low, "s_mgy_per_mbq_s_high": s.high, "electron_fraction": s.electron_fraction,
        "photon_fraction": s.photon_fraction, "absorbed_kev": s.absorbed_kev,
        "alpha_fraction": s.alpha_fraction or None,
    }  # fmt: skip


def _digits(values: Sequence[float]) -> int:
    """Decimals that give the smallest of the values four figures."""
    smallest = min((v for v in values if v > 0), default=1.0)
    return max(0, 3 - math.floor(math.log10(smallest)))


def _decimals(value: float) -> int:
    """Decimals of a number as it was asked for, six figures at most."""
    return len(f"{value:.6g}".partition(".")[2]) if abs(value) >= 1e-4 else 6


def _shown_spheres(found: Sequence[SphereS]) -> tuple[Shown, ...]:
    return (
        Shown(name="nuclide", heading="Nuclide"),
        Shown(name="mass_g", heading="Mass, g", digits=max(_decimals(s.mass_g) for s in found)),
        Shown(name="radius_mm", heading="Radius, mm", digits=2),
        Shown(
            name="s_mgy_per_mbq_s", heading="S, mGy/(MBq s)", digits=_digits([s.s_mgy_per_mbq_s for s in found]),
            low="s_mgy_per_mbq_s_low", high="s_mgy_per_mbq_s_high",
        ),
        *((Shown(name="alpha_fraction", heading="Alphas absorbed", percent=True, digits=2),) if found[0].alpha_fraction else ()),
        Shown(name="electron_fraction", heading="Electrons absorbed", percent=True, digits=1),
        Shown(name="photon_fraction", heading="Photons absorbed", percent=True, digits=1),
        Shown(name="absorbed_kev", heading="Absorbed, keV", digits=1),
    )  # fmt: skip


def _sphere_json(s: SphereS, emitted: Emissions) -> dict[str, Any]:
    return {
        "nuclide": s.nuclide, "mass_g": s.mass_g, "density_g_ml": s.density_g_ml, "radius_mm": s.radius_mm,
        "s_mgy_per_mbq_s": s.s_mgy_per_mbq_s, "low": s.low, "high": s.high, "interval_method": INTERVAL,
        "u_relative": s.u_relative, "electron_mgy_per_mbq_s": s.electron_mgy_per_mbq_s,
        "photon_mgy_per_mbq_s": s.photon_mgy_per_mbq_s, "electron_fraction": s.electron_fraction,
        "photon_fraction": s.photon_fraction, "absorbed_kev": s.absorbed_kev,
        "electron_kev_per_decay": emitted.electron_kev_per_decay, "photon_kev_per_decay": emitted.photon_kev_per_decay,
        "emission_source": emitted.source, "alpha_mgy_per_mbq_s": s.alpha_mgy_per_mbq_s,
        "alpha_fraction": s.alpha_fraction or None, "alpha_kev_per_decay": emitted.alpha_kev_per_decay,
    }  # fmt: skip


def _kernel_json(kernel: VoxelKernel) -> dict[str, Any]:
    own = kernel.self_mgy_per_mbq_s
    return {
        "nuclide": kernel.nuclide, "spacing_mm": list(kernel.spacing_mm), "density_g_ml": kernel.density_g_ml,
        "medium": kernel.medium, "part": kernel.part, "size": kernel.size, "unit": "mGy/(MBq s)", "self_mgy_per_mbq_s": own,
        "low": own * (1 - 2 * kernel.u_relative), "high": own * (1 + 2 * kernel.u_relative), "interval_method": INTERVAL,
        "u_relative": kernel.u_relative, "sum_mgy_per_mbq_s": float(kernel.values.sum()),
        "energy_emitted_kev": kernel.energy_emitted_kev, "energy_absorbed_kev": kernel.energy_absorbed_kev,
        "energy_outside_kev": kernel.energy_outside_kev, "values": kernel.values.tolist(),
    }  # fmt: skip


def _neighbours(kernel: VoxelKernel) -> JobTable:
    """The source voxel and those that touch it, by falling symmetry."""
    middle, total = kernel.size // 2, float(kernel.values.sum())
    steps = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)]
    rows: list[dict[str, Any]] = []
    for step in steps if middle else steps[:1]:
        value = float(kernel.values[tuple(middle + s for s in step)])
        rows.append({"voxel": " ".join(map(str, step)), "s_mgy_per_mbq_s": value, "share": value / total})
    shown = (
        Shown(name="voxel", heading="Slice row column"),
        Shown(name="s_mgy_per_mbq_s", heading="S, mGy/(MBq s)", digits=_digits([r["s_mgy_per_mbq_s"] for r in rows])),
        Shown(name="share", heading="Energy", percent=True, digits=3),
    )
    frame = to_frame(rows, NEIGHBOUR_COLUMNS)
    return JobTable(name="neighbours", title="Source voxel and neighbours", frame=frame, shown=shown)


def _voxels(kernel: VoxelKernel) -> JobTable:
    middle = kernel.size // 2
    rows = [
        {"slice": z - middle, "row": y - middle, "column": x - middle, "s_mgy_per_mbq_s": float(value)}
        for (z, y, x), value in np.ndenumerate(kernel.values)
    ]
    return JobTable(name="kernel", title="All voxels", frame=to_frame(rows, KERNEL_COLUMNS), on_page=False)


def energy_figure(nuclide: str, density: float) -> Figure:
    """Share of the energy of each kind of radiation that stays within a distance of a point source."""
    energy = radial_energy(nuclide)
    distance = energy.radius_g_cm2 / density * 10.0
    shown = (distance >= 0.01) & (distance <= 600.0)
    curves = [("electrons", (energy.electron_kev + energy.bremsstrahlung_kev) / energy.emitted_electron_kev)]
    if energy.emitted_alpha_kev > 0:
        curves.insert(0, ("alphas", energy.alpha_kev / energy.emitted_alpha_kev))
    if energy.emitted_photon_kev > NEGLIGIBLE_KEV:
        curves.append(("photons", energy.photon_kev / energy.emitted_photon_kev))
    lines = [(name, distance[shown], share[shown]) for name, share in curves]
    return _curves(
        "energy-within", lines, "distance from a point source [mm]", "share of the energy within it",
        f"Energy of {nuclide} that stays within a distance, in unbounded water of {density:g} g/mL.",
    )  # fmt: skip


def _mass_figure(nuclide: str, density: float, found: Sequence[SphereS]) -> Figure:
    """Energy absorbed per decay over the mass of the sphere, with the spheres asked for."""
    masses = np.geomspace(LIGHTEST_G, HEAVIEST_G, 71)
    spheres = [sphere_s(nuclide, float(m), density) for m in masses]
    lines = [("all emissions", masses, np.array([s.absorbed_kev for s in spheres]))]
    points = [(s.mass_g, s.absorbed_kev) for s in found]
    return _curves(
        "absorbed-energy", lines, "mass of the sphere [g]", "energy absorbed per decay [keV]",
        f"Energy of {nuclide} that a sphere absorbs per decay; points are the spheres asked for. S is that energy over the mass.",
        points,
    )  # fmt: skip


def _curves(
    name: str, lines: Sequence[tuple[str, Any, Any]], x_title: str, y_title: str, caption: str,
    points: Sequence[tuple[float, float]] = (),
) -> Figure:  # fmt: skip
    """Curves over a logarithmic axis."""
    width, top, height = DOUBLE_MM * 72 / 25.4, 8.0, 150.0
    y_axis = axis_over([float(v) for _, _, ys in lines for v in ys], top + height, top, zero=True)
    left = left_margin(y_axis)
    box = Box(left, width - 10, top, top + height)
    x_axis = axis_over([float(v) for _, xs, _ in lines for v in xs], box.left, box.right, log=True)
    entries = [Entry(text, style) for (text, _, _), style in zip(lines, SERIES, strict=False)] if len(lines) > 1 else []
    plate = Plate(DOUBLE_MM, box.bottom + (44 if entries else 30), label=caption)
    plate.left_axis(y_axis, box, y_title)
    plate.bottom_axis(x_axis, box, x_title, grid=True)
    for (text, xs, ys), style in zip(lines, SERIES, strict=False):
        path = polyline([(x_axis(float(x)), y_axis(float(y))) for x, y in zip(xs, ys, strict=True)])
        plate.add("path", d=path, fill="none", stroke=style.colour, stroke_width=1.4, stroke_dasharray=style.dash,
                  stroke_linejoin="round", class_="curve", data_label=text)  # fmt: skip
    for x, y in points:
        plate.mark("circle", x_axis(x), y_axis(y), SERIES[1].colour, size=3.0, class_="sphere", data_x=f"{x:g}")
    plate.legend(entries, left, box.bottom + 28, width - left)
    return plate.figure(name, caption)
