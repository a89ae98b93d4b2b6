"""What cannot be trained or measured is refused before a trial runs or a test image is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from user_project import Project

pytestmark = pytest.mark.tensorflow

SWEEP = """
defaults: [sweep, _self_]
model: {hidden_units: [4]}
trainer: {epochs: 1, batch_size: 256, callbacks: [{_target_: mine.Callback}]}
sweep:
  n_trials: 2
  plots: false
  executor: {workers: 1, gpus: none}
  space: {model.dropout: {low: 0.0, high: 0.4}}
"""
SOUND = "import keras\nclass Callback(keras.callbacks.Callback): ...\n"
BROKEN = SOUND.replace("...", "\n    def __init__(self): raise OSError('no server')")
REFUSED = (
    "besom: trainer.callbacks: mine.Callback cannot be built: OSError: no server (mine.py, line"
)


@pytest.mark.long
def test_a_callback_that_cannot_be_built_opens_no_test_images_and_leaves_nothing(
    project: Project,
) -> None:
    project.write("sweeps/mine.yaml", SWEEP)
    project.write("mine.py", BROKEN)
    for words in (
        ["train", "trainer.callbacks=[{_target_: mine.Callback}]"],
        ["sweep", "mine"],
        ["sweep", "mine", "--dry-run"],
    ):
        done = project.run(*words)
        assert done.returncode == 2
        assert done.stderr.startswith(REFUSED)
        assert len(done.stderr.splitlines()) == 1
        assert not Path("results").exists()


@pytest.mark.long
def test_a_callback_that_fails_in_training_opens_no_test_images_and_gives_no_traceback(
    project: Project,
) -> None:
    late = SOUND.replace(
        "...", "\n    def on_train_begin(self, logs=None): raise OSError('no server')"
    )
    project.write("mine.py", late)
    done = project.run("train", "data=digits", "trainer.callbacks=[{_target_: mine.Callback}]")
    assert done.returncode == 2
    assert done.stderr.startswith("besom: Training failed: OSError: no server (mine.py, line")
    assert len(done.stderr.splitlines()) == 1
    assert not Path("results").exists()


@pytest.mark.long
def test_a_confirmation_tries_each_config_before_the_opening_is_logged(project: Project) -> None:
    project.write("sweeps/mine.yaml", SWEEP)
    project.write("mine.py", SOUND)
    swept = project.run("sweep", "mine")
    assert swept.returncode == 0, swept.stderr
    project.write("mine.py", BROKEN)
    words = ("confirm", "mine", "--top", "1", "--seeds", "2", "--quiet")
    refused = project.run(*words)
    assert refused.returncode == 2
    assert REFUSED.removeprefix("besom: ") in refused.stderr
    assert refused.stderr.startswith("besom: Trial ")
    assert not Path("results/mine/test_openings.csv").exists()
    project.write("mine.py", SOUND)
    assert project.run(*words, "executor.workers=1").returncode == 0
    assert Path("results/mine/test_openings.csv").exists()
