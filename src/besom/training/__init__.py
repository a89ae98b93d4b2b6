"""Trains one Keras model after a config. Only here is TensorFlow imported.

Read from the top; each line uses those below it::

    trial.py               what a worker runs: prepare() once, then run_trial() for each trial
    confirmation.py          the same, then measures the test part (besom confirm --on test)
    dry_run_probe.py         a few timed steps instead of a run (besom sweep --dry-run)
    rehearsal.py           one step with a few examples, before the first trial is spent
    misfits.py               which part of the config made that step fail
    trainer.py             one run, from config and data to a trained model and its history
    fast/                  the engine that runs a whole epoch as one compiled function
    epochs/                what both engines share, the choice between them, and model.fit
    saving.py              kept models, and the state of a run that is continued later
    build.py, settings.py  from the config to a compiled model, optimizer, loss, metrics
    runtime.py             what a process starts once and keeps: TensorFlow, threads, the data
    models.py, data/       the models and datasets that come with besom, and how data are checked

A user's own model, dataset, loss or metric needs no change here: a config names it.
"""
