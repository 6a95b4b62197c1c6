"""Files in and out: DICOM, image volumes, tables."""
