"""besom from Python: what the commands ``train`` and ``sweep`` do, without a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from besom.rerun.single_run import TrainRun
from besom.store.paths import default_results_dir
from besom.store.records import StudyRecord


def train(
    overrides: Sequence[str] = (),
    config: str | None = None,
    *,
    config_dir: str | Path | None = None,
    trust: Sequence[str] = (),
) -> TrainRun:
    """Train one config, as ``besom train`` does.

    Args:
        overrides: Hydra overrides, such as ``["data=mnist", "trainer.epochs=5"]``.
        config: the path of a config, such as an exported ``best.yaml``; None: ``conf/train.yaml``.
        config_dir: your config folder; None takes ``./conf`` and ``./sweeps``.
        trust: packages that the config may name in addition to what ``besom.trust`` allows.

    Raises:
        BesomError: anything in the config or the data that cannot be trained.
        TrialDiverged: a metric became NaN or infinite.
    """
    from besom.config import projects_of
    from besom.report.export import composer_for_train
    from besom.rerun.single_run import train_once
    from besom.trust import trusting

    with trusting(trust, projects=projects_of(config, config_dir)):
        composed = composer_for_train(config, config_dir).compose(overrides)
        return train_once(composed, Path(composed.config["results_dir"]))


def sweep(
    name: str,
    overrides: Sequence[str] = (),
    *,
    config_dir: str | Path | None = None,
    extend: bool = False,
    fresh: bool = False,
    trust: Sequence[str] = (),
) -> StudyRecord:
    """Run or continue a sweep, and write its leaderboard, plots and best config.

    Args:
        name: a sweep on the search path, or the path of a YAML.
        overrides: Hydra overrides; Hydra's sweep grammar adds to the search space.
        config_dir: your config folder; None takes ``./conf`` and ``./sweeps``.
        extend: accept a larger budget or another executor than the study was made with.
        fresh: move an existing study to the archive first.
        trust: packages that the config may name in addition to what ``besom.trust`` allows.

    Raises:
        BesomError: the sweep cannot be run, or no trial has succeeded.
        KeyboardInterrupt: a signal has ended the sweep early. Everything it has is written, and
            the same call continues it.
    """
    from besom.config import projects_of
    from besom.errors import BesomError
    from besom.report.files import write_outputs
    from besom.study import make_plan, run_sweep
    from besom.study.watcher import LeaderboardWriter
    from besom.trust import trusting

    with trusting(trust, projects=projects_of(name, config_dir)):
        plan = make_plan(name, overrides, config_dir)
        writer = LeaderboardWriter(plan.paths)
        outcome = run_sweep(plan, extend=extend, fresh=fresh, watcher=writer)
    write_outputs(outcome.study, plan.paths)
    if outcome.interrupted:
        raise KeyboardInterrupt(outcome.reason)
    if not outcome.study.complete:
        raise BesomError(f"No trial of {plan.name} has succeeded; see {plan.paths.leaderboard_md}.")
    return outcome.study


def load_study(name: str, results_dir: str | Path | None = None) -> StudyRecord:
    """Read a study; never imports TensorFlow.

    Args:
        name: the study's name.
        results_dir: where it is; None takes ``$BESOM_RESULTS_DIR``, else ``results``.

    Raises:
        StudyError: there is no such study (similar names are listed), or it is damaged.
    """
    from besom.store.storage import load_record

    return load_record(Path(results_dir) if results_dir else default_results_dir(), name)
