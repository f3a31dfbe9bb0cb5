"""What it costs to get going: imports above numpy and pandas, the first fit, memory."""

import json
import statistics
import subprocess
import sys

from benchmarks.cases import ROOT

REPEATS = 7
SCRIPT = """
import json, time
a = time.process_time()
import numpy, pandas
b = time.process_time()
import lmmtools
c = time.process_time()
lmmtools.fit_lmm, lmmtools.load_dataset
d = time.process_time()
frame = lmmtools.load_dataset("sleepstudy")
lmmtools.fit_lmm("Reaction ~ Days + (Days | Subject)", frame)
e = time.process_time()
from benchmarks.once import peak_mb
print(json.dumps({"base": b - a, "import": c - b, "names": d - c, "first": e - d,
                  "peak_mb": peak_mb()}))
"""


def measure_start() -> dict[str, float]:
    """Return medians over fresh processes, in seconds of CPU as all the timings are.

    Returns
    -------
    dict
        `base` numpy and pandas, `import` lmmtools above them, `names` the engine behind
        `fit_lmm`, `first` loading sleepstudy and fitting it for the first time. MB: `peak_mb` after
        that fit.
    """
    rows = []
    for _ in range(REPEATS):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True
        )
        rows.append(json.loads(done.stdout))
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}
