"""A user's own training, from the sweep to the replay: two phases by ``trainer.fit``, and a VAE."""

from __future__ import annotations

import csv

import pytest

from besom.store.records import Outcome
from besom.study import load_record
from user_project import Project

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(400)]

TUNE = '''
import keras
import numpy as np

from besom.training.data import Dataset

L = keras.layers


def digits(split):
    rng = np.random.default_rng(len(split))
    x = rng.integers(0, 256, (96, 4, 4)).astype(np.uint8)
    return Dataset(x=x, y=(x[:, 0, 0] // 64).astype(int), name="tiny")


def images(split):
    return Dataset(x=digits(split).x, name="images")


def pretrained(input_shape, num_classes, units):
    inputs = keras.Input(input_shape)
    base = L.Dense(units, "relu", name="base", trainable=False)
    return keras.Model(inputs, L.Dense(num_classes, "softmax")(base(L.Flatten()(inputs))))


def frozen_then_unfrozen(model, data, config, callbacks, frozen_epochs, slower):
    def train(epochs):
        return model.fit(
            data.train, validation_data=data.validation, epochs=epochs, callbacks=callbacks
        )

    train(frozen_epochs)
    model.get_layer("base").trainable = True
    rate = config["optimizer"]["learning_rate"] / slower
    model.compile(keras.optimizers.Adam(rate), model.loss, metrics=["accuracy"])
    return train(config["trainer"]["epochs"] - frozen_epochs)


class VAE(keras.Model):
    """Of the kind that people write: without a get_config."""

    def __init__(self, shape, latent):
        super().__init__()
        self.encoder = keras.Sequential([L.Flatten(), L.Dense(2 * latent)])
        self.decoder = keras.Sequential([L.Dense(16, "sigmoid"), L.Reshape(shape)])
        self.seeds = keras.random.SeedGenerator(0)
        self.measured = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.measured]

    def call(self, x):
        return self.decoder(keras.ops.split(self.encoder(x), 2, -1)[0])

    def step(self, data):
        x = keras.utils.unpack_x_y_sample_weight(data)[0]
        mean, log = keras.ops.split(self.encoder(x), 2, -1)
        noise = keras.random.normal(keras.ops.shape(mean), seed=self.seeds)
        back = self.decoder(mean + keras.ops.exp(log / 2) * noise)
        spread = keras.ops.mean(keras.ops.exp(log) + mean**2 - 1 - log)
        loss = keras.ops.mean((x - back) ** 2) + 0.01 * spread
        self.measured.update_state(loss)
        return loss

    def train_step(self, data):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = self.step(data)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": self.measured.result()}

    def test_step(self, data):
        self.step(data)
        return {"loss": self.measured.result()}


def vae(input_shape, latent):
    model = VAE(input_shape, latent)
    model(np.zeros((1, *input_shape), "float32"))
    return model
'''

PHASES = """
defaults:
  - sweep
  - override data: tiny
  - override model: pretrained
  - override sweep/pruner: none
  - _self_
trainer:
  epochs: 3
  batch_size: 32
  fit: {_target_: tune.frozen_then_unfrozen, frozen_epochs: 1, slower: 10}
sweep:
  n_trials: 2
  plots: false
  executor: {workers: 1, gpus: none}
  space:
    trainer.fit.frozen_epochs: [1, 2]
    model.units: [4, 8]
"""

VAES = """
defaults:
  - sweep
  - override data: images
  - override model: vae
  - override sweep/pruner: none
  - _self_
trainer: {epochs: 2, batch_size: 32}
sweep:
  n_trials: 2
  plots: false
  objective: {metric: val_loss, direction: minimize}
  executor: {workers: 1, gpus: none}
  space:
    optimizer.learning_rate: {low: 1.0e-3, high: 1.0e-2, log: true}
"""


@pytest.fixture(scope="module")
def home(home: Project) -> Project:
    home.write("tune.py", TUNE)
    home.write("conf/data/tiny.yaml", "_target_: tune.digits\n")
    home.write("conf/data/images.yaml", "_target_: tune.images\n")
    home.write("conf/model/pretrained.yaml", "_target_: tune.pretrained\nunits: 8\n")
    home.write("conf/model/vae.yaml", "_target_: tune.vae\nlatent: 2\n")
    home.write("sweeps/phases.yaml", PHASES)
    home.write("sweeps/vaes.yaml", VAES)
    return home


def train_rows(home: Project, name: str) -> int:
    with (home.root / f"results/train/{name}/history.csv").open() as file:
        return len(list(csv.DictReader(file)))


@pytest.mark.long
def test_frozen_then_unfrozen_is_swept_confirmed_retrained_and_replayed(home: Project) -> None:
    home.done("sweep", "phases")
    study = load_record(home.root / "results", "phases")
    assert [trial.outcome for trial in study.trials] == [Outcome.COMPLETE] * 2
    assert {trial.epochs for trial in study.trials} == {3}
    assert "±" in home.done("leaderboard", "phases")
    home.done("export", "phases", "--model")
    assert (home.root / "phases.keras").is_file()
    assert "Test accuracy" in home.done("train", "results/phases/best.yaml")
    assert train_rows(home, "phases") == 3
    assert (home.root / "results/train/phases/model.keras").is_file()
    assert "test_accuracy" in home.done("confirm", "phases", "--top", "1", "--seeds", "2")
    assert "equal" in home.done("replay", "phases", "0")


@pytest.mark.long
def test_the_dry_run_says_who_trains(home: Project) -> None:
    said = home.done("sweep", "phases", "--dry-run", "sweep.space=null")
    assert "Training: by tune.frozen_then_unfrozen" in said


@pytest.mark.long
def test_a_vae_that_cannot_be_saved_is_swept_like_any_other(home: Project) -> None:
    said = home.done("sweep", "vaes")
    assert said.count("cannot be saved") == 1
    study = load_record(home.root / "results", "vaes")
    assert [trial.outcome for trial in study.trials] == [Outcome.COMPLETE] * 2
    assert "no mean over examples" in " ".join(home.done("leaderboard", "vaes").split())
    refused = home.besom("export", "vaes", "--model")
    assert refused.exit_code == 2
    assert "get_config" in refused.output
    trained = home.done("train", "results/vaes/best.yaml")
    assert trained.count("cannot be saved") == 1
    assert "Test loss" in trained
    assert train_rows(home, "vaes") == 2
    assert "test_loss" in home.done("confirm", "vaes", "--top", "1", "--seeds", "2")
    assert "equal" in home.done("replay", "vaes", "1")
