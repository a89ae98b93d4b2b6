"""A project for a table in a CSV file: the task, the loss and the space follow from its columns."""

from __future__ import annotations

from pathlib import Path

from besom.scaffold.csv_columns import TableGuess, look_at
from besom.scaffold.new_project import DATA, MODEL, NewProject, comment, in_words, inline
from besom.scaffold.spirals import CLASSIFIER_PY, MODEL_YAML
from besom.text.counting import counted

_DATA_YAML = """# The table {file}. Chosen by `data=my_data`.
_target_: besom.training.data.csv
path: {path}
separator: {separator}
target: {target}
task: {task}

# All other columns are what it is predicted from: numbers are normalised, text is one-hot encoded.
exclude:{exclude}
categorical: {categorical}  # columns of numbers that are categories
missing: {missing}  # rows with missing values: refuse or drop

# Set aside as the test part, which only `besom train` and `besom confirm` open.
test_split: 0.2
test_seed: 0

# Held out from the rest, and measured after each epoch.
validation_split: 0.2
split_seed: 0
stratify: auto          # each class in proportion to its size
group: null             # the column whose equal values stay together, such as a patient
order: null             # the column with the time: the latest rows are held out
"""

_REGRESSOR_PY = '''"""The model of this project. Change it: any `keras.Model` will do."""


def build(input_shape, output_shape, units, activation, dropout, target_mean, target_spread):
    """A multilayer perceptron, not compiled: besom compiles it.

    `input_shape` and `output_shape` come from the data, the other arguments from
    conf/model/my_model.yaml. A sweep changes those.
    """
    import keras

    layers = [keras.Input(input_shape)]
    for n in units:
        layers.append(keras.layers.Dense(n, activation=activation))
        layers.append(keras.layers.Dropout(dropout))
    layers.append(keras.layers.Dense(output_shape[-1]))
    # The network itself predicts numbers around 0, which is easier to learn.
    layers.append(keras.layers.Rescaling(target_spread, offset=target_mean))
    return keras.Sequential(layers)
'''

_SCALED_YAML = """target_mean: {mean}  # of {target}: what is predicted is scaled with these
target_spread: {spread}
"""

_SWEEP_YAML = """# Start it with:  besom sweep {name}
defaults:
  - sweep                       # what besom sets by default
  - override data: my_data      # conf/data/my_data.yaml: the table and its target
  - override model: my_model    # conf/model/my_model.yaml, and my_model.py
  - override optimizer: adam    # adamw, sgd, rmsprop, nadam and lion are there, too
  - _self_                      # what follows takes precedence

trainer:
  epochs: {epochs}
  batch_size: {batch_size}
  loss: {loss}  # {why_loss}

sweep:
  n_trials: 40                  # trial 0 is the config as it is here: the baseline
  # folds: 5                    # each trial measured on all examples: five times as long
  objective: {{metric: {metric}}}  # {why_metric}

  # What is searched, by the path in the config. Everything else stays as it is.
  space:
    model.units:                # a list: its length is sampled, then each element
      length: {{low: 1, high: {most_layers}}}
      each: {{low: 8, high: {most_units}, log: true}}
    model.activation: [relu, gelu, tanh]
    model.dropout: {{low: 0.0, high: 0.5}}
    optimizer.learning_rate: {{low: 1.0e-4, high: 3.0e-2, log: true}}
    trainer.batch_size: {batch_sizes}
"""

#: By how many rows there are at most: epochs, the batch sizes searched, layers, units of a layer.
_SIZES = (
    (2_000, 60, [16, 32, 64], 2, 128),
    (20_000, 30, [32, 64, 128], 3, 256),
    (10**15, 15, [64, 128, 256, 512], 4, 512),
)


def project_for_csv(name: str, file: Path, target: str, folder: Path) -> NewProject:
    """Look at a table and write what predicts one of its columns from the others.

    Args:
        name: of the sweep.
        file: the CSV file.
        target: the column to predict.
        folder: the project's, from which a file inside it is named.

    Raises:
        DataError: nothing can be learned from the file; says why.
    """
    guess = look_at(file, target)
    files = {
        f"sweeps/{name}.yaml": _sweep(name, guess),
        f"conf/data/{DATA}.yaml": _data(file, guess, folder),
        f"conf/model/{MODEL}.yaml": _model(guess),
        f"{MODEL}.py": CLASSIFIER_PY if guess.n_classes is not None else _REGRESSOR_PY,
    }
    return NewProject(name, files, tuple(_found(file, guess)))


def _data(file: Path, guess: TableGuess, folder: Path) -> str:
    place, home = file.resolve(), folder.resolve()
    lines = "".join(
        f"\n  - {inline(name)}  # {comment(why)}" for name, why in guess.excluded.items()
    )
    return _DATA_YAML.format(
        file=comment(file.name),
        path=inline(str(place.relative_to(home) if home in place.parents else place)),
        separator='"\\t"' if guess.separator == "\t" else f'"{guess.separator}"',
        target=inline(guess.target),
        task="regression" if guess.n_classes is None else "classification",
        exclude=lines or " []",
        categorical=inline(guess.categorical),
        missing="drop" if guess.drops else "refuse",
    )


def _model(guess: TableGuess) -> str:
    if guess.n_classes is not None:
        return MODEL_YAML
    scaled = {"mean": inline(guess.mean), "spread": inline(guess.spread)}
    return MODEL_YAML + _SCALED_YAML.format(target=comment(guess.target), **scaled)


def _sweep(name: str, guess: TableGuess) -> str:
    _, epochs, sizes, layers, units = next(size for size in _SIZES if guess.n_rows <= size[0])
    if guess.n_classes is None:
        loss, why_loss = "mse", "the mean squared error; mae follows single large values less"
        if guess.has_long_tail:
            loss, why_loss = "mae", "the mean absolute error: some values are far from the others"
        metric, why_metric = "val_mae", f"the mean error of {comment(guess.target)}, minimized"
    else:
        loss, why_loss = "sparse_categorical_crossentropy", f"{guess.n_classes} classes"
        metric, why_metric = "val_accuracy", "the share of validation rows that are right"
        if guess.is_dominated:
            metric = "val_loss"
            why_metric = "nearly all rows are of one class, so accuracy would tell little"
    return _SWEEP_YAML.format(
        name=name,
        epochs=epochs,
        batch_size=sizes[len(sizes) // 2],
        loss=loss,
        why_loss=why_loss,
        metric=metric,
        why_metric=why_metric,
        most_layers=layers,
        most_units=units,
        batch_sizes=inline(sizes),
    )


def _found(file: Path, guess: TableGuess) -> list[str]:
    task = f"classification, {guess.n_classes} classes"
    task = "regression" if guess.n_classes is None else task
    lines = [
        f"{file.name}: {task}: {guess.target} from {counted(len(guess.features), 'column')}, "
        f"{counted(guess.n_rows, 'row')}"
        + (" (those with missing values are dropped)." if guess.drops else ".")
    ]
    if guess.excluded:
        told = [f"{name} ({why})" for name, why in guess.excluded.items()]
        lines.append(f"Left out: {in_words(told)}.")
    return lines
