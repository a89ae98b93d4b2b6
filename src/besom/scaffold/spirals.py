"""A project to start from: a model function and a data function of the user's own, and a sweep."""

from __future__ import annotations

from besom.scaffold.new_project import DATA, MODEL, NewProject

_DATA_PY = '''"""The data of this project. Replace the spirals by your own.

besom calls `load("train")`, and `load("test")` only for `besom train` and `besom confirm`.
"""

import numpy as np

from besom.training.data import Dataset


def load(split, n=1500, noise=0.05):
    """Three spirals in the plane: x has shape (n, 2), y the class of each point, 0 to 2.

    `n` and `noise` come from conf/data/my_data.yaml. What x and y may be, and how the task is told
    from y: docs/howto-own-dataset.md.
    """
    rng = np.random.default_rng(0 if split == "train" else 1)
    y = rng.integers(0, 3, n)
    t = rng.uniform(0.0, 1.0, n)
    angle = 2 * np.pi * (1.5 * t + y / 3)
    x = np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1) + rng.normal(0.0, noise, (n, 2))
    return Dataset(x=x, y=y, name="spirals")
'''

_DATA_YAML = """# The data: my_data.load, with these arguments. Chosen by `data=my_data`.
_target_: my_data.load
n: 1500
noise: 0.05

# Held out from the training part, and measured after each epoch: a share, or a number of examples.
validation_split: 0.2
split_seed: 0           # which examples, and nothing else
"""

#: The model function of a classifier.
CLASSIFIER_PY = '''"""The model of this project. Change it: any `keras.Model` will do."""


def build(input_shape, num_classes, units, activation, dropout):
    """A multilayer perceptron, not compiled: besom compiles it.

    `input_shape` and `num_classes` come from the data, the other arguments from
    conf/model/my_model.yaml. A sweep changes those.
    """
    import keras

    layers = [keras.Input(input_shape), keras.layers.Flatten()]
    for n in units:
        layers.append(keras.layers.Dense(n, activation=activation))
        layers.append(keras.layers.Dropout(dropout))
    layers.append(keras.layers.Dense(num_classes, activation="softmax"))
    return keras.Sequential(layers)
'''

#: The option that names it.
MODEL_YAML = """# The model: my_model.build, with these arguments. Chosen by `model=my_model`.
_target_: my_model.build
units: [64, 64]         # of each hidden layer
activation: relu
dropout: 0.1            # the share of units dropped in training
"""

_SWEEP_YAML = """# Start it with:  besom sweep {name}
defaults:
  - sweep                       # what besom sets by default; see conf/sweep.yaml in its guide
  - override data: my_data      # conf/data/my_data.yaml
  - override model: my_model    # conf/model/my_model.yaml
  - override optimizer: adam    # adamw, sgd, rmsprop, nadam and lion are there, too
  - _self_                      # what follows takes precedence

trainer:
  epochs: 30
  batch_size: 32

sweep:
  n_trials: 30                  # trial 0 is the config as it is here: the baseline
  # folds: 5                    # each trial measured on all examples: five times as long
  objective: {{metric: val_accuracy}}

  # What is searched, by the path in the config. Everything else stays as it is.
  space:
    model.units:                # a list: its length is sampled, then each element
      length: {{low: 1, high: 3}}
      each: {{low: 8, high: 128, log: true}}
    model.activation: [relu, tanh, gelu]
    model.dropout: {{low: 0.0, high: 0.5}}
    optimizer.learning_rate: {{low: 1.0e-4, high: 1.0e-1, log: true}}
"""


def example_project(name: str) -> NewProject:
    """Spirals to be told apart by a small network: it sweeps at once."""
    files = {
        f"sweeps/{name}.yaml": _SWEEP_YAML.format(name=name),
        f"conf/data/{DATA}.yaml": _DATA_YAML,
        f"conf/model/{MODEL}.yaml": MODEL_YAML,
        f"{DATA}.py": _DATA_PY,
        f"{MODEL}.py": CLASSIFIER_PY,
    }
    return NewProject(name, files)
