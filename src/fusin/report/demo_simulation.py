"""The reaction models of the demonstration: a small one in SBML, and CXCR4 with a blocker over a range of doses."""

from __future__ import annotations

from pathlib import Path

from fusin.errors import MissingExtra
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog, Provenance
from fusin.receptor.engines import Experiment, open_model
from fusin.receptor.experiments import Study
from fusin.receptor.quantities import parse_pairs, parse_quantity
from fusin.report.job_output import JobOutput, JobSection
from fusin.report.receptor_simulate_report import simulate_report

__all__ = ["run_part"]

_UNIT = '<unit kind="{}" exponent="{}" scale="{}" multiplier="1"/>'
_UNITS = {
    "nmol": [("mole", 1, -9)],
    "per_s": [("second", -1, 0)],
    "per_nM_s": [("litre", 1, 0), ("mole", -1, -9), ("second", -1, 0)],
}
_RATE = (
    "<apply><times/><ci>medium</ci><apply><minus/><apply><times/><ci>kon</ci><ci>L</ci><ci>R</ci></apply>"
    "<apply><times/><ci>koff</ci><ci>C</ci></apply></apply></apply>"
)
_MODEL = """\
<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2">
  <model id="ligand" name="A ligand, its receptor and their complex" substanceUnits="nmol" timeUnits="second"
         volumeUnits="litre" extentUnits="nmol">
    <listOfUnitDefinitions>{units}</listOfUnitDefinitions>
    <listOfCompartments><compartment id="medium" spatialDimensions="3" size="1" constant="true"/></listOfCompartments>
    <listOfSpecies>{species}</listOfSpecies>
    <listOfParameters>
      <parameter id="kon" value="0.01" units="per_nM_s" constant="true"/>
      <parameter id="koff" value="0.005" units="per_s" constant="true"/>
    </listOfParameters>
    <listOfReactions>
      <reaction id="binding" reversible="true">
        <listOfReactants>
          <speciesReference species="L" stoichiometry="1" constant="true"/>
          <speciesReference species="R" stoichiometry="1" constant="true"/>
        </listOfReactants>
        <listOfProducts><speciesReference species="C" stoichiometry="1" constant="true"/></listOfProducts>
        <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML">{rate}</math></kineticLaw>
      </reaction>
    </listOfReactions>
  </model>
</sbml>
"""
_SPECIES = (
    '<species id="{}" name="{}" compartment="medium" initialConcentration="{}" hasOnlySubstanceUnits="false" '
    'boundaryCondition="false" constant="false"/>'
)


def _sbml() -> str:
    units = "".join(
        f'<unitDefinition id="{name}"><listOfUnits>{"".join(_UNIT.format(*part) for part in parts)}</listOfUnits></unitDefinition>'
        for name, parts in _UNITS.items()
    )
    species = [("L", "ligand", 2), ("R", "receptor", 1), ("C", "complex", 0)]
    return _MODEL.format(units=units, species="".join(_SPECIES.format(*one) for one in species), rate=_RATE)


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write ``ligand.xml``, and run CXCR4 with CXCL12 and a blocker.

    Parameters
    ----------
    folder : receives the file
    seed : of the draws
    """
    write_bytes_atomically(folder / "ligand.xml", _sbml().encode("utf-8"))
    experiment = Experiment(
        until=parse_quantity("90min", "--until"), points=91, dose=parse_pairs(["CXCL12=110nM"], "--dose"),
        block=parse_pairs(["pentixafor=5nM"], "--block"), seed=seed,
    )  # fmt: skip
    study = Study(
        outputs=("C4Bp", "R4"), dose_response="CXCL12=1nM:1000nM:7:log", draws=40, seed=seed,
        ranges=("KD_pentixafor=0.1:25:log", "KD_L_R4=2:40:log"),
    )  # fmt: skip
    try:
        return simulate_report(open_model("cxcr4"), experiment, study, log=NoticeLog())
    except MissingExtra as err:
        # The demonstration runs without extras; this part says what it needs.
        return JobOutput(
            title="Simulation", document={}, summary=(str(err),), notices=(), provenance=Provenance(),
            sections=(JobSection(name="simulation", title="Not installed", text=(str(err) + ".",)),),
        )  # fmt: skip
