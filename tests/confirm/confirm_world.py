"""A study of cheap trials that was never swept, and what really ran of its confirmation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from besom.rerun.confirm import Confirmation, ConfirmPlan
from besom.rerun.confirm.result import make_contest, score_of
from besom.rerun.confirm.run_journal import RunRecord
from besom.rerun.confirm.verdict import summarise
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord

QUALITIES = (0.60, 0.90, 0.89, 0.70)


def make_study(
    qualities: Sequence[float] = QUALITIES,
    *,
    noise: float = 0.005,
    objective: Objective | None = None,
    trial_function: str = "confirm_trials.noisy",
    workers: int = 1,
    **trainer: Any,
) -> StudyRecord:
    """A study as records; ``trainer`` is what its trial function reads there."""
    objective = objective or Objective("val_accuracy", "maximize")
    base = {
        "data": {"split_seed": 0},
        "optimizer": {},
        "trainer": {"epochs": 2, "precision": "bfloat16", **trainer},
        "seed": 0,
    }
    trials = tuple(
        TrialRecord(
            number=number,
            outcome=Outcome.COMPLETE,
            values=(quality if objective.metric != "val_loss" else 1 - quality,),
            params={"model.quality": quality},
            config={**base, "model": {"quality": quality, "noise": noise}},
            history={"val_accuracy": [quality], "val_loss": [1 - quality]},
            environment={"id": "then"},
            baseline=number == 0,
        )
        for number, quality in enumerate(qualities)
    )
    sweep = {
        "trial_function": trial_function,
        "trial_timeout_s": None,
        "max_failures": 5,
        "executor": {
            "_target_": "besom.executors.local.LocalExecutor",
            "workers": workers,
            "gpus": "none",
        },
    }
    facts = {"environments": {"then": {"data": {"fingerprint": "cheap"}}}}
    config = {**base, "model": {"quality": qualities[0], "noise": noise}, "sweep": sweep}
    return StudyRecord("study", (objective,), trials, config, facts)


def changed(study: StudyRecord, trial: int, **fields: Any) -> StudyRecord:
    """The study with other fields in one of its trials."""
    trials = tuple(replace(t, **fields) if t.number == trial else t for t in study.trials)
    return replace(study, trials=trials)


def runs_in(trace: Path, what: str = "start") -> list[tuple[float, int]]:
    """What really ran: quality and seed of each run."""
    lines = [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []
    return [(line["quality"], line["seed"]) for line in lines if line["what"] == what]


def confirmed(plan: ConfirmPlan, scores: Mapping[int, Sequence[float | None]]) -> Confirmation:
    """A confirmation with these scores, seed by seed; None is a run that diverged."""
    contest, runs = make_contest(plan), {}
    for trial, values in scores.items():
        for seed, value in zip(plan.seeds, values, strict=False):
            runs[trial, seed] = RunRecord(
                key=plan.key_of(trial, seed),
                trial=trial,
                seed=seed,
                on=plan.on,
                outcome=Outcome.COMPLETE if value is not None else Outcome.DIVERGED,
                reason="" if value is not None else "loss is nan at epoch 2",
                numbers={} if value is None else {plan.objective.metric: value, "n_test": 1000.0},
            )
    ended = sorted(runs, key=lambda key: (plan.seeds.index(key[1]), key[0]))
    contest.fill({key: score_of(plan, runs[key]) for key in ended})
    return summarise(plan, contest, runs)


def confirmed_by_image(
    plan: ConfirmPlan, right: Mapping[int, NDArray[np.bool_]], **fields: Any
) -> Confirmation:
    """A confirmation whose runs stored what they got right: trial to (n_seeds, n_images)."""
    scores = {trial: list(map(float, table.mean(axis=1))) for trial, table in right.items()}
    plain, runs = confirmed(plan, scores), {}
    for (trial, seed), run in plain.runs.items():
        bits = right[trial][plan.seeds.index(seed)]
        stored = {"correct": np.packbits(bits).tobytes(), "n_images": len(bits), **fields}
        numbers = {**run.numbers, "n_test": float(len(bits))}
        runs[trial, seed] = replace(run, numbers=numbers, **stored)
    contest = make_contest(plan)
    contest.fill({key: score_of(plan, run) for key, run in runs.items()})
    return summarise(plan, contest, runs)
