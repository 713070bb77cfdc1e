import os
import subprocess
import sys
import textwrap

import pytest

SHARED = """
    import numba
    import numpy as np

    from harken.raytracing import kernel

    @kernel
    def running_sum(values, a, b, c, d):
        words = values.view(np.int32)
        total = 0.0
        for i in range(len(values)):
            if words[i] == 7:
                raise ValueError("seven")
            total += np.sin(values[i] * a) * np.cos(values[i] * b) + np.exp(-values[i] * c) + np.log(1 + d * i)
            values[i] = total
        return total

    @kernel
    def ours(values):
        x, y = np.float64(values[0]), np.float64(values[1])
        return running_sum(values, x, y, x, y) + running_sum(values, y, x, y, x) + running_sum(values, x, x, y, y)

    @numba.njit
    def theirs(values):
        x, y = np.float64(values[0]), np.float64(values[1])
        return running_sum(values, x, y, x, y) + running_sum(values, y, x, y, x) + running_sum(values, x, x, y, y)

    for function in {order}:
        print(function(np.ones(20, np.float32)))
"""


@pytest.mark.parametrize("order", ["ours, theirs", "theirs, ours"])
def test_compiled_code_of_others_may_call_what_kernels_call(tmp_path, order):
    (tmp_path / "shared.py").write_text(textwrap.dedent(SHARED).replace("{order}", order))
    environment = {**os.environ, "HARKEN_CACHE": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for _ in ("compiled", "read from disk"):
        run = subprocess.run(
            [sys.executable, "shared.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert run.returncode == 0, run.stderr
        ours, theirs = map(float, run.stdout.split())
        assert ours == pytest.approx(theirs, rel=1e-12)
