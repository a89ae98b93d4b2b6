"""A worker's TensorFlow starts without what no trial uses, and takes nothing from the trials."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from besom.training import runtime

runtime.start_worker()
import keras

assert not {"sklearn", "matplotlib", "pandas"} & set(sys.modules), sorted(sys.modules)
import matplotlib, pandas, sklearn.datasets

model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
print(model.predict(pandas.DataFrame({"a": [1.0], "b": [2.0]}).to_numpy(), verbose=0).shape)
"""


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_worker_starts_without_pandas_and_a_trial_may_import_it_nevertheless() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["(1,", "1)"]
