"""besom from Python: what the commands ``train`` and ``sweep`` do, without a terminal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from besom.python.study_object import Study
from besom.rerun.single_run import TrainRun
from besom.store.paths import default_results_dir

__all__ = ["Study", "load_study", "sweep", "train"]

if TYPE_CHECKING:
    from besom.study import SweepOutcome, SweepPlan


def train(
    build: Any = None,
    config: str | None = None,
    *,
    overrides: Sequence[str] = (),
    data: Any = None,
    test: Any = None,
    params: Mapping[str, Any] | None = None,
    name: str | None = None,
    config_dir: str | Path | None = None,
    trust: Sequence[str] = (),
    **nodes: Any,
) -> TrainRun:
    """Train one config, as ``besom train`` does.

    With a function, data, ``params`` or nodes it is trained in a process of its own.

    Args:
        build: a function or class that makes the model; or overrides, as in
            ``besom.train(["data=mnist"])``.
        config: the path of a config, such as an exported ``best.yaml``, or the name of one on the
            search path; None: ``conf/train.yaml``.
        overrides: Hydra overrides, such as ``["data=mnist", "trainer.epochs=5"]``.
        data, test: as for ``sweep``.
        params: values for parameters of ``build``, or for dotted paths; such as
            ``study.best.params``.
        name: of the run's folder; None: the options chosen.
        config_dir: your config folder; None takes ``./conf`` and ``./sweeps``.
        trust: packages that the config may name in addition to what ``besom.trust`` allows.
        nodes: the nodes of the YAML (``trainer={"epochs": 5}``, ``optimizer="sgd"``, ``seed=1``),
            and options of the data (``validation_split=0.2``).

    Raises:
        BesomError: anything in the config or the data that cannot be trained.
        TrialDiverged: a metric became NaN or infinite; a BesomError from a process of its own.
    """
    from besom.config import projects_of
    from besom.errors import ConfigError
    from besom.python.calls import Call
    from besom.report.export import composer_for_train
    from besom.rerun.single_run import functions_of, train_once
    from besom.trust import trusting

    if isinstance(build, list | tuple):
        build, overrides = None, [*build, *overrides]
    elif isinstance(build, str):
        build, config = None, build
    call = Call(build, data, test, None, params, nodes, name, "besom.train")
    if not call.is_plain:
        from besom.python.training_apart import train_apart

        if config is not None:
            raise ConfigError(
                f"config is {config!r}, a complete config: change it with overrides, such as "
                "overrides=['trainer.epochs=40'], and give no function, data or nodes."
            )
        return train_apart(call, overrides, config_dir, trust)
    with trusting(trust, projects=projects_of(config, config_dir)):
        composed = composer_for_train(config, config_dir).compose(overrides)
        with trusting(functions=functions_of(config, composed)):
            return train_once(composed, Path(composed.config["results_dir"]))


def sweep(
    build: Any = None,
    overrides: Sequence[str] = (),
    *,
    data: Any = None,
    test: Any = None,
    space: Mapping[str, Any] | None = None,
    name: str | None = None,
    config_dir: str | Path | None = None,
    extend: bool = False,
    fresh: bool = False,
    trust: Sequence[str] = (),
    progress: bool | None = None,
    **nodes: Any,
) -> Study:
    """Run or continue a sweep, and write its leaderboard, plots and best config.

    Args:
        build: a function or class that makes the model, with what is sampled among its parameters;
            or the name of a sweep on the search path, or the path of a YAML.
        overrides: Hydra overrides; Hydra's sweep grammar adds to the search space.
        data: ``(x, y)``, ``(x, y, sample_weight)``, a ``besom.training.data.Dataset``, a DataFrame
            (with ``target="COLUMN"``), a function that makes one of these or a stream, a function
            ``load(split)``, or the name of a data option.
        test: the same for the test part, which only ``besom confirm`` and ``besom train`` open.
        space: parameters of ``build``, or dotted paths, to what they are sampled from:
            ``(low, high)``, ``(low, high, "log")``, ``(low, high, step)``, a list of choices, a
            distribution of Optuna's, or what ``sweep.space`` of a YAML takes.
        name: of the study; None: that of the function or of the sweep.
        config_dir: your config folder; None takes ``./conf`` and ``./sweeps``.
        extend: accept a larger budget or another executor than the study was made with.
        fresh: move an existing study to the archive first.
        trust: packages that the config may name in addition to what ``besom.trust`` allows.
        progress: False: nothing is shown; True: a panel, or a line per finished trial where none
            can be drawn; None: a panel in a terminal or a notebook, else nothing.
        nodes: every key of the node ``sweep`` (``n_trials=40``, ``sampler="random"``), the other
            nodes (``trainer={"epochs": 5}``, ``optimizer="sgd"``, ``seed=1``), and options of the
            data (``validation_split=0.2``).

    Raises:
        BesomError: the sweep cannot be run, or no trial has succeeded.
        KeyboardInterrupt: a signal has ended the sweep early. Everything it has is written, and
            the same call continues it.
    """
    from besom.config import projects_of
    from besom.python.calls import Call, planned
    from besom.study.notify import notifying
    from besom.trust import trusting

    if build is None and not nodes and data is None and space is None:
        build, name = name, None  # besom.sweep(name="quickstart")
    call = Call(build, data, test, space, keywords=nodes, name=name)
    sweep_file = build if isinstance(build, str) else None
    projects = projects_of(sweep_file, config_dir)
    with (
        trusting(trust, projects=projects),
        planned(call, overrides, config_dir, fresh) as plan,
        notifying(plan, logging.getLogger("besom").warning) as ended,
    ):
        return _run(plan, extend, fresh, progress, ended)


def _run(
    plan: SweepPlan,
    extend: bool,
    fresh: bool,
    progress: bool | None,
    ended: Callable[[SweepOutcome], None],
) -> Study:
    """Run or continue a sweep, show its progress, and write what is made of it."""
    from besom.errors import BesomError
    from besom.python.progress import progress_view
    from besom.report.files import write_outputs
    from besom.study import run_sweep
    from besom.study.watcher import LeaderboardWriter, Watchers

    with progress_view(progress) as view:
        watcher = Watchers(LeaderboardWriter(plan.paths), view)
        outcome = run_sweep(plan, extend=extend, fresh=fresh, watcher=watcher)
    ended(outcome)
    study = Study.of(outcome.study, plan.paths.root.parent)
    write_outputs(study, plan.paths, study.claim, plan.sweep.plots)
    if plan.sweep.plots:
        from besom.page import refresh_study_page  # slow to load, so after the result

        if problem := refresh_study_page(study, plan.paths, study.claim):
            logging.getLogger("besom").warning(problem)
    if outcome.interrupted:
        raise KeyboardInterrupt(
            f"{outcome.reason}. Everything is written: the same call continues the sweep, and "
            f"besom.load_study({plan.name!r}) reads what there is."
        )
    if not study.complete:
        raise BesomError(f"No trial of {plan.name} has succeeded; see {plan.paths.leaderboard_md}.")
    return study


def load_study(name: str, results_dir: str | Path | None = None) -> Study:
    """Read a study; never imports TensorFlow.

    Args:
        name: the study's name.
        results_dir: where it is; None takes ``$BESOM_RESULTS_DIR``, else ``results``.

    Raises:
        StudyError: there is no such study (similar names are listed), or it is damaged.
    """
    from besom.store.storage import load_record

    folder = Path(results_dir) if results_dir else default_results_dir()
    return Study.of(load_record(folder, name), folder)
