"""Radiopharmacy: from the generator to the patient dose: elution, quality control, release, dispensing."""
