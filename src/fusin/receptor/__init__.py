"""The receptor: pathway network, occupancy, tracer kinetics and whole-body distribution."""
