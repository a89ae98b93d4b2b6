"""The search space: read it, check it against the config, sample from it, apply the sample.

The language, under ``sweep.space``, keyed by dotted config path or config group::

    model.dropout: {type: float, low: 0.0, high: 0.5, step: 0.1}     # both ends included
    optimizer.learning_rate: tag(log, interval(1e-4, 1e-1))          # Hydra's own sweep grammar
    model.activation: [relu, tanh, null]                             # null, lists, mappings too
    model.hidden_units:
      length: {low: 1, high: 4}                                      # or a fixed number
      each: {low: 32, high: 1024, log: true}
      shape: decreasing                                              # increasing, constant, any
    model.dropouts: {length: model.hidden_units.length, each: [0.1, 0.2]}    # as long as that one
    model.layers:
      length: 3
      each: {units: [64, 128], rate: {low: 0.0, high: 0.5, when: {units: 128}}}    # mappings
    optimizer: {choices: [adam, sgd], with_own_spaces: true}         # `space:` of each option
    optimizer.momentum: {low: 0.0, high: 0.99, when: {optimizer: sgd}}
    model.filters@deep: {choices: [8, 16], when: {model.depth: {min: 4}}}    # a second entry for
    model.filters@flat: {choices: [32, 64], when: {model.depth: {max: 3}}}   # one path
    data.validation_split: null                                      # drops an inherited entry

An entry has three forms: what is written (``spec``), a checked definition (``definitions``, with
its values: ``domains``, ``lists``), and the entry fitted to the config (``entries``, which ``read``
makes). Start with ``space``.
"""

from __future__ import annotations

from besom.config.tree import apply
from besom.space.definitions import flatten
from besom.space.entries import Condition, Entry
from besom.space.grammar import split_overrides
from besom.space.grid import Grid
from besom.space.lists import Lists
from besom.space.read import parse_space
from besom.space.space import Sample, Space

__all__ = [
    "Condition",
    "Entry",
    "Grid",
    "Lists",
    "Sample",
    "Space",
    "apply",
    "flatten",
    "parse_space",
    "split_overrides",
]
