"""Who gets the next seed, and who gets no more: the race, as a pure function of the scores so far.

Decisions depend on the scores of the first seeds only, never on which worker was the faster, so a
confirmation that was interrupted, or ran on other workers, decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from besom.statistics import race

#: The race is first looked at when all have this many seeds; fewer can show nothing.
FIRST_LOOK = 3
#: The next look comes when there are this many times as many seeds: each look has its price, since
#: all of them together may be wrong with a probability of ``RACE_ALPHA`` at most.
GROWTH = 1.5

#: How often the race may call anybody beaten by one that is not better: half of the 5 % that all
#: such statements have together, since the standings at the end need the other half.
RACE_ALPHA = 0.025

#: Trial, seed.
RunKey = tuple[int, int]


@dataclass
class Contest:
    """The state of a confirmation.

    Attributes:
        entrants: trial numbers, the most promising first.
        seeds: in the order in which they are given out.
        baseline: it gets every seed, since all are measured against it; None if it takes no part.
        direction: of the scores.
        racing: whether who is beaten gets no more seeds.
        scores: by trial and seed; None where the run failed.
        started: runs that are under way or over.
        beaten: trial to the number of seeds it was given before it was beaten.
        hopeless: the same for trials all of whose runs failed.
    """

    entrants: Sequence[int]
    seeds: Sequence[int]
    baseline: int | None
    direction: str
    racing: bool = True
    scores: dict[RunKey, float | None] = field(default_factory=dict)
    started: set[RunKey] = field(default_factory=set)
    beaten: dict[int, int] = field(default_factory=dict)
    hopeless: dict[int, int] = field(default_factory=dict)
    _n_looked: int = 0

    @property
    def looks(self) -> list[int]:
        """At how many seeds each the race is looked at; empty if there is nothing to save."""
        looks, at = [], FIRST_LOOK
        while self.racing and at < len(self.seeds):
            looks.append(at)
            at = max(at + 1, math.ceil(GROWTH * at))
        return looks

    @property
    def alive(self) -> list[int]:
        """Those that get more seeds."""
        return [t for t in self.entrants if t not in self.beaten and t not in self.hopeless]

    @property
    def n_runs(self) -> int:
        """How many runs there will be, if no other is beaten."""
        pending = sum((t, s) not in self.started for t in self.alive for s in self.seeds)
        return pending + len(self.started)

    def scores_of(self, trial: int) -> dict[int, float]:
        """Seed to score, of the runs that have one."""
        by_seed = ((seed, self.scores.get((trial, seed))) for seed in self.seeds)
        return {seed: score for seed, score in by_seed if score is not None}

    def next_run(self) -> RunKey | None:
        """The run to start now; None if all are under way or over.

        Those with the fewest seeds come first, of them the best mean, so that idle workers run
        ahead with those who are likely to stay.
        """
        waiting = [t for t in self.alive if any((t, s) not in self.started for s in self.seeds)]
        if not waiting:
            return None
        trial = min(waiting, key=self._promise)
        return trial, next(s for s in self.seeds if (trial, s) not in self.started)

    def start(self, run: RunKey) -> None:
        """A run is under way."""
        self.started.add(run)

    def end(self, run: RunKey, score: float | None) -> list[int]:
        """A run is over; returns who gets no more seeds because of it."""
        self.started.add(run)
        self.scores[run] = score
        return self._look()

    def fill(self, scores: Mapping[RunKey, float | None]) -> None:
        """Take runs that were over before."""
        for run, score in scores.items():
            self.end(run, score)

    def _look(self) -> list[int]:
        """Look at the race as often as it is due."""
        out: list[int] = []
        looks = self.looks
        while self._n_looked < len(looks):
            n_seeds = looks[self._n_looked]
            first = self.seeds[:n_seeds]
            if any((t, s) not in self.scores for t in self.alive for s in first):
                break
            out += self._decide(n_seeds, len(looks))
            self._n_looked += 1
        return out

    def _decide(self, n_seeds: int, n_looks: int) -> list[int]:
        first = self.seeds[:n_seeds]
        known = {
            t: {s: v for s, v in self.scores_of(t).items() if s in first} for t in self.entrants
        }
        hopeless = [t for t in self.alive if not known[t] and t != self.baseline]
        decided = race(
            known,
            self.direction,
            n_looks=n_looks,
            confidence=1.0 - RACE_ALPHA,
            already_beaten=self.beaten,
        )
        beaten = [t for t in decided.beaten if t not in self.beaten and t != self.baseline]
        self.hopeless |= dict.fromkeys(hopeless, n_seeds)
        self.beaten |= dict.fromkeys(beaten, n_seeds)
        return hopeless + beaten

    def _promise(self, trial: int) -> tuple[int, float, int]:
        scores = list(self.scores_of(trial).values())
        sign = 1.0 if self.direction == "maximize" else -1.0
        mean = -sign * sum(scores) / len(scores) if scores else math.inf
        n_started = sum((trial, seed) in self.started for seed in self.seeds)
        return n_started, mean, list(self.entrants).index(trial)
