"""Verbs below ``fusin dose`` that need no patient: S values of spheres, and voxel kernels."""

from __future__ import annotations

import math
import re
from typing import Annotated

import typer

from fusin.cli.options import JsonFlag, OutOption, StrictFlag, choice, finish
from fusin.errors import InputError

__all__ = ["register"]

NuclideOption = Annotated[
    str,
    typer.Option("--nuclide", help="Nuclide, for example Lu-177, Y-90, Ga-68, Tb-161 or Ac-225.", show_default=False),
]
MassOption = Annotated[
    list[float] | None, typer.Option("--mass-g", help="Mass of the sphere in gram, 0.001 to 10000. Repeatable.")
]
VolumeOption = Annotated[
    list[float] | None, typer.Option("--volume-ml", help="Volume instead of the mass, in mL. Repeatable.")
]
SphereDensityOption = Annotated[float, typer.Option("--density", help="Density of sphere and surroundings in g/mL.")]
SpacingOption = Annotated[
    str,
    typer.Option("--spacing-mm", help="Voxel size in mm: slices,rows,columns, or one number.", show_default=False),
]
KernelDensityOption = Annotated[float, typer.Option("--density", help="Density of the tissue in g/mL.")]
SizeOption = Annotated[
    int | None,
    typer.Option("--size", help="Odd number of voxels along each axis; 11, or more where electrons go further."),
]
MediumOption = Annotated[str, typer.Option("--medium", help="soft-tissue or water.")]
PartOption = Annotated[str, typer.Option("--part", help="all, electrons or photons.")]


def register(group: typer.Typer) -> None:
    """Add the verbs to the group of ``fusin dose``."""
    group.command("sphere")(sphere)
    group.command("kernel")(kernel)


def sphere(
    nuclide: NuclideOption,
    mass_g: MassOption = None,
    volume_ml: VolumeOption = None,
    density: SphereDensityOption = 1.0,
    out: OutOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """S value of a sphere (a lesion) with even activity, by mass and nuclide.

    \b
    Example: fusin dose sphere --nuclide Lu-177 --mass-g 10
    """
    from fusin.provenance import NoticeLog
    from fusin.report.dose_physics_report import sphere_report

    nuclide = _one(nuclide)
    masses = _masses(mass_g or [], volume_ml or [], density)
    finish(sphere_report(nuclide, masses, density=density, log=NoticeLog(strict=strict)), out, as_json=as_json)


def kernel(
    nuclide: NuclideOption,
    spacing_mm: SpacingOption,
    density: KernelDensityOption = 1.04,
    size: SizeOption = None,
    medium: MediumOption = "soft-tissue",
    part: PartOption = "all",
    out: OutOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Voxel S values of a nuclide for any voxel size and density.

    \b
    Example: fusin dose kernel --nuclide Lu-177 --spacing-mm 4.8,4.8,4.8
    """
    from fusin.provenance import NoticeLog
    from fusin.report.dose_physics_report import kernel_report

    output = kernel_report(
        _one(nuclide), _spacing(spacing_mm), density=density, size=size,
        medium=choice(medium, ("soft-tissue", "water"), "--medium"),
        part=choice(part, ("all", "electrons", "photons"), "--part"), log=NoticeLog(strict=strict),
    )  # fmt: skip
    finish(output, out, as_json=as_json)


def _one(nuclide: str) -> str:
    """The name of one nuclide.

    Raises
    ------
    InputError
        For several.
    """
    if re.search(r"[,;+/&]|\band\b", nuclide):
        raise InputError("--nuclide", "nuclide", nuclide, "one nuclide at a time; doses of a mixture add up")
    return nuclide


def _masses(masses_g: list[float], volumes_ml: list[float], density: float) -> list[float]:
    """Masses [g] from masses or volumes.

    Raises
    ------
    InputError
        When neither or both are given.
    """
    if bool(masses_g) == bool(volumes_ml):
        found = "both" if masses_g else "nothing"
        raise InputError("--mass-g", "option", found, "--mass-g or --volume-ml, one of them")
    return masses_g or [volume * density for volume in volumes_ml]


def _spacing(text: str) -> tuple[float, float, float]:
    """Three distances [mm] from a text; blanks or semicolons between numbers allow decimal commas.

    Raises
    ------
    InputError
        For anything but one or three numbers.
    """
    needed = "slices,rows,columns in mm, for example 4.8,4.8,4.8 (with decimal commas: 4,8;4,8;4,8)"
    stripped = text.strip()
    parts = re.split(r"[;\sx]+", stripped) if re.search(r"[;\sx]", stripped) else stripped.split(",")
    try:
        numbers = [float(part.strip(",").replace(",", ".")) for part in parts if part.strip(",")]
    except ValueError as err:
        raise InputError("--spacing-mm", "distances", text, needed) from err
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or not all(math.isfinite(n) for n in numbers):
        raise InputError("--spacing-mm", "distances", text, needed)
    return numbers[0], numbers[1], numbers[2]
