"""Dosimetry: time-activity curves, organ, marrow, lesion and voxel doses, and the plan of an activity."""
