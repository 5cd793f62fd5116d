"""Imaging: from a DICOM folder to SUV volumes, masks and exports."""
