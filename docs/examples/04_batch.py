"""A batch, and its tables.

Makes two small patients as DICOM, one with nodules and one without, runs `miliary run` over both,
and reads the tables without any library; pandas would do as well.
"""

# %% Two patients below one folder
import contextlib
import csv
import io
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from miliary.cli.main import main

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "build/examples")
#: A quick look: fewer simulations, fewer nodules put in.
QUICK = ["--set", "spatial.simulations=199", "--set", "calibrate.n_nodules=100"]

with TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
    cohort = Path(scratch)
    main(["phantom", f"{cohort}/ill", "--pattern", "random", "--n", "200", "--seed", "5"])
    main(["phantom", f"{cohort}/well", "--pattern", "none", "--seed", "6"])
    # The masks and tables of a phantom lie beside its scan; only the scans go in.
    scans = [f"{cohort}/ill/dicom", f"{cohort}/well/dicom"]
    status = main(["run", *scans, "--out", f"{OUT}/batch", "--jobs", "1", "--resume", *QUICK])

# %% One row a case
with (OUT / "batch" / "cases.csv").open(encoding="utf-8", newline="") as file:
    cases = list(csv.DictReader(file))
print(f"exit status {status}")
for case in cases:
    print(case["case"], case["status"], case["miliary"], case["pattern"], case["nodules"])

# %% One row a nodule, in the folder of the case
for case in cases:
    with (OUT / "batch" / case["case"] / "nodules.csv").open(encoding="utf-8", newline="") as file:
        nodules = list(csv.DictReader(file))
    upper = sum(row["zone"] == "upper" for row in nodules)
    print(f"{case['case']}: {upper} of {len(nodules)} nodules in the upper zones")
