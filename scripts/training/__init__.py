"""How the detector is trained; `scripts/train_detector` begins it."""
