"""Hyperparameter importance by PED-ANOVA, against what chance alone would show.

PED-ANOVA (Watanabe, Bansal, Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance
in Arbitrary Subspaces", IJCAI 2023, arXiv 2304.10255) asks of each hyperparameter how differently
it is distributed among the best trials and among all. Optuna's evaluator extends it to parameters
that only some trials have (condPED-ANOVA, arXiv 2601.20800): those are judged on the trials that
have them, and weighed by how many of the best these are.

A ranking always comes out, of noise too. So the same is computed with the values shuffled among
the trials (a permutation test): what a parameter reaches in one shuffle of twenty is its noise
level, and a parameter without influence gets above it once in twenty studies.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from besom.plots import style
from besom.plots.columns import merged_order
from besom.plots.scales import Floats
from besom.store.records import StudyRecord, TrialRecord

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

#: Fewer complete trials than this say nothing about importance: the evaluator's authors ask for
#: five among the best, and these are at most ``LARGEST_BEST`` of all.
MIN_TRIALS = 15
#: The best are this many trials, but never less than the evaluator's usual tenth of them, and never
#: more than three tenths. In simulated sweeps of 20 and 40 trials with known influences, a tenth
#: alone finds the learning rate in half the cases, this in nearly all.
N_BEST, SMALLEST_BEST, LARGEST_BEST = 10, 0.1, 0.3
#: Of more complete trials, so many are judged, evenly chosen by number: the best of them are enough
#: to tell, and each shuffle takes time in proportion.
MOST_TRIALS = 1000
MAX_BARS = 24

TITLE = "what mattered"


class Share(NamedTuple):
    """One hyperparameter's bar.

    Attributes:
        name: Optuna's parameter name: a list's length and elements stand apart.
        share: of the importances' sum, 0 to 1.
        noise: the share that 19 of 20 shuffles stay under.
        n_trials: complete trials that have the parameter.
    """

    name: str
    share: float
    noise: float
    n_trials: int


class Importance(NamedTuple):
    """What the picture shows.

    Attributes:
        metric: the objective's name.
        shares: most important first; empty where ``problem`` says why.
        n_trials: complete trials judged.
        n_all: complete trials that they are chosen from, evenly, where these are many.
        n_outside: complete trials left out, their params lying outside the space.
        quantile: the share of the trials that counts as the best.
        problem: why there is nothing to show; empty if there is.
    """

    metric: str
    shares: tuple[Share, ...]
    n_trials: int
    n_all: int
    n_outside: int
    quantile: float
    problem: str


def summarise(study: StudyRecord, objective: int = 0, n_shuffles: int = 60) -> Importance:
    """Compute the importances for the study's objective with this index.

    Args:
        study: a study, of any state.
        objective: its index among the study's objectives.
        n_shuffles: shuffles for the noise level; fewer are made of very large studies.
    """
    # The plot and the report show the same ones, and the shuffles take a second.
    known: dict[tuple[int, int], Importance] = vars(study).setdefault("_importances", {})
    key = objective, n_shuffles
    if key not in known:
        known[key] = _summarise(study, objective, n_shuffles)
    return known[key]


def _summarise(study: StudyRecord, objective: int, n_shuffles: int) -> Importance:
    aim = study.objectives[objective]
    sampled = [t for t in study.complete if t.raw_params]
    n_all = len(sampled)
    if n_all > MOST_TRIALS:
        chosen = np.linspace(0, n_all - 1, MOST_TRIALS).round().astype(int)
        sampled = [sampled[i] for i in chosen]
    pairs = [(t, _frozen(t)) for t in sampled]
    trials = [t for t, frozen in pairs if frozen is not None]
    n_outside = len(pairs) - len(trials)
    losses = np.array([-aim.sign * t.values[objective] for t in trials if t.values])
    names = merged_order(t.distributions for t in trials)

    def nothing(problem: str) -> Importance:
        return Importance(aim.metric, (), len(trials), n_all, n_outside, 0.0, problem)

    if len(study.complete) >= MIN_TRIALS and not pairs:
        return nothing("No hyperparameter is sampled in this study.")
    if len(trials) < MIN_TRIALS:
        return nothing(
            f"Importance needs at least {MIN_TRIALS} complete trials inside the space: "
            f"this study has {len(trials)}."
        )
    if np.ptp(losses) == 0:
        return nothing(
            f"Every complete trial has the same {aim.metric}: nothing made a difference."
        )
    quantile = max(SMALLEST_BEST, min(LARGEST_BEST, N_BEST / len(trials)))
    # A tie at the boundary belongs to the best as a whole; when that is everyone, nothing is told.
    if float(np.sort(losses)[int(np.ceil(quantile * losses.size)) - 1]) == losses.max():
        return nothing(
            f"Too many complete trials share the same {aim.metric} to tell the best apart."
        )
    in_memory = _optuna_study([frozen for _, frozen in pairs if frozen is not None])
    raw = _evaluate(in_memory, losses, names, quantile)
    total = sum(raw.values())
    if total <= 0:
        return nothing("The best trials are spread over the space as all trials are.")
    random = np.random.default_rng(0)
    n_shuffles = max(10, min(n_shuffles, 10_000 // len(trials)))
    shuffled = [
        _evaluate(in_memory, random.permutation(losses), names, quantile) for _ in range(n_shuffles)
    ]
    shares = [
        Share(
            name,
            raw[name] / total,
            float(np.quantile([s[name] for s in shuffled], 0.95)) / total,
            sum(name in t.distributions for t in trials),
        )
        for name in names
    ]
    shares.sort(key=lambda s: -s.share)
    return Importance(aim.metric, tuple(shares), len(trials), n_all, n_outside, quantile, "")


def _frozen(trial: TrialRecord) -> FrozenTrial | None:
    """``trial`` as Optuna's; None if its params lie outside the space, as the base config's may.

    Categories are replaced by their index: lists and mappings cannot be compared.
    """
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import create_trial

    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    try:
        for name, distribution in trial.distributions.items():
            value = trial.raw_params[name]
            if isinstance(distribution, CategoricalDistribution):
                value = distribution.choices.index(value)
                distribution = CategoricalDistribution(range(len(distribution.choices)))
            params[name], distributions[name] = value, distribution
        return create_trial(value=0.0, params=params, distributions=distributions)
    except (KeyError, TypeError, ValueError):
        return None


def _optuna_study(trials: Sequence[FrozenTrial]) -> optuna.Study:
    import optuna

    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.WARNING)  # "A new study created in memory" is of no interest here
    try:
        study = optuna.create_study()
    finally:
        logger.setLevel(level)
    study.add_trials(trials)
    return study


def _evaluate(
    study: optuna.Study, losses: Floats, names: list[str], quantile: float
) -> Mapping[str, float]:
    """Importances before normalisation; ``losses`` by trial number, lower is better."""
    from besom.store.optuna_private import ped_anova

    with warnings.catch_warnings():
        # That low targets are taken as good is just what is wanted; that a parameter which few
        # trials have is judged inaccurately is what the noise level and n_trials show.
        warnings.simplefilter("ignore")
        return ped_anova()(target_quantile=quantile).evaluate(
            study, names, target=lambda trial: float(losses[trial.number])
        )


def caption(importance: Importance) -> tuple[str, float]:
    """What the shares are, how many trials are left out, and the inches that it takes."""
    left_out = f"{importance.n_outside} outside the space left out" * bool(importance.n_outside)
    if importance.problem:
        return left_out, 2.2
    text = (
        f"PED-ANOVA: which hyperparameters set the best {importance.quantile:.0%} of "
        f"{importance.n_trials:,} complete trials apart"
    )
    if importance.n_all > importance.n_trials + importance.n_outside:
        text += f", evenly chosen from {importance.n_all:,}"
    return "; ".join(filter(None, [text, left_out])), 0.95 + 0.3 * min(
        len(importance.shares), MAX_BARS
    )


def draw(importance: Importance, figure: Figure) -> None:
    """Draw a bar a hyperparameter, strong where it rises above the noise."""
    if importance.problem:
        style.say_nothing_to_see(figure, importance.problem)
        return
    ax = figure.add_subplot()
    shares = importance.shares[:MAX_BARS]
    rows = np.arange(len(shares))
    sure = [s.share > s.noise for s in shares]
    colours = [style.BLUE if s else style.FAINT for s in sure]
    ax.barh(rows, [s.share for s in shares], height=0.62, color=colours, zorder=3)
    edge = min(1.0, 1.6 * shares[0].share)
    for beyond, marker, size in ((False, "|", 15), (True, ">", 5)):
        some = [row for row in rows if (shares[row].noise > edge) == beyond]
        at = [min(shares[row].noise, edge) for row in some]
        if some:
            look: style.Look = {"ms": size, "mew": 1.6, "c": style.VERMILLION, "clip_on": False}
            ax.plot(at, some, marker, zorder=4, **look)
    for row, share in enumerate(shares):
        note = "" if share.n_trials == importance.n_trials else f"   in {share.n_trials:,} trials"
        ax.annotate(
            f"{f'{share.share:.0%}' if share.share >= 0.005 else '<1%'}{note}",
            (share.share if share.noise > edge else max(share.share, share.noise), row),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            size=8.8,
            color=style.INK if sure[row] else style.MUTED,
        )
    ax.set_yticks(rows, [style.shorten(s.name, 42) for s in shares], color=style.INK, size=9)
    ax.set_ylim(len(shares) - 0.4, -0.6)
    ax.set_xlim(0, edge)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.set_xlabel("share of the importance")
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    handles: list[object] = []
    if any(sure):
        handles.append(style.key("above the noise", marker="s", ls="", ms=8, c=style.BLUE))
    if not all(sure):
        handles.append(style.key("within the noise", marker="s", ls="", ms=8, c=style.FAINT))
    look = {"marker": "|", "ls": "", "ms": 11, "mew": 1.6, "c": style.VERMILLION}
    handles.append(style.key("noise level: 95% of shuffled studies stay under it", **look))
    if len(importance.shares) > MAX_BARS:
        handles.append(style.key(f"{len(importance.shares) - MAX_BARS} smaller not shown", ls=""))
    style.legend(figure, handles)
