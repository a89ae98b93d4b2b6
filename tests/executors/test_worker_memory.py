"""A warm worker's real memory over hundreds of real trials: none of them may stay in it.

Measured with TensorFlow 2.21 and Keras 3.15.1 on one core, MiB resident after so many trials of the
mixture below:

==================================================  ====  ====  ====  ====  =====
trials                                                50   100   200   300  s
==================================================  ====  ====  ====  ====  =====
custom gradients let go                              712   714   716   718     76
TensorFlow keeps them (silu, and all of model.fit)   793   911  1143  1374    117
==================================================  ====  ====  ====  ====  =====

What such trials leave behind is 20 KiB each, or 2.3 MiB: 0.2 or 23 GiB after 10,000 trials. The
seconds differ because each trial's garbage collection looks through what was left.
"""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest

from besom.executors.base import Finished, Ready

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(400)]

N_TRIALS = 300
#: Trials until code is loaded, caches are filled and the allocator has its arenas.
SETTLED = 100
#: Trials whose median is one measurement: a single one is off by up to 4 MiB.
WINDOW = 40
#: 0.6 GiB in 10,000 trials, which recycling would mend once.
MAX_KIB_PER_TRIAL = 64

ACTIVATIONS = ("relu", "tanh", "gelu", "silu")  # silu has a gradient of its own in TensorFlow


def trial(number: int) -> dict[str, Any]:
    """One hidden layer and one epoch; every twentieth is trained by ``model.fit``."""
    return {
        "data": {"_target_": "besom.training.data.digits", "validation_split": 0.2},
        "model": {
            "_target_": "besom.training.models.mlp",
            "hidden_units": [8 + number % 57],
            "activation": ACTIVATIONS[number % 4],
            "dropout": 0.2,
        },
        "optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01},
        "trainer": {
            "epochs": 1,
            "batch_size": 128,
            "engine": "keras" if number % 20 == 10 else "compiled",
        },
        "seed": number,
    }


def test_three_hundred_real_trials_do_not_grow_a_workers_memory_without_bound(drive):
    swarm = drive("besom.training.trial:run_trial", base=trial(0), max_worker_memory=None)
    for number in range(N_TRIALS):
        swarm.run({number: trial(number)})
    finished = swarm.of(Finished)
    assert len(finished) == N_TRIALS
    assert len(swarm.of(Ready)) == 1, "the worker was replaced, so its growth was not seen"
    resident = [event.usage.memory_bytes / 1024 for event in finished]
    early = median(resident[SETTLED - WINDOW // 2 : SETTLED + WINDOW // 2])
    late = median(resident[-WINDOW:])
    n_between = N_TRIALS - WINDOW // 2 - SETTLED
    assert (late - early) / n_between < MAX_KIB_PER_TRIAL
