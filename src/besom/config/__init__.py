"""Hydra configs: where they are found, how they are composed, checked and written back."""

from besom.config.compose import Composed, Composer
from besom.config.overrides import parse_override, parse_overrides, plain_value, refuse_options
from besom.config.schema import TRAIN_GROUPS
from besom.config.search_path import SearchPath, find_sweep, projects_of, read_yaml
from besom.config.tree import MISSING, apply, has_path, leaves, lookup, overlap, within
from besom.config.types import check_keys

__all__ = [
    "MISSING",
    "TRAIN_GROUPS",
    "Composed",
    "Composer",
    "SearchPath",
    "apply",
    "check_keys",
    "find_sweep",
    "has_path",
    "leaves",
    "lookup",
    "overlap",
    "parse_override",
    "parse_overrides",
    "plain_value",
    "projects_of",
    "read_yaml",
    "refuse_options",
    "within",
]
