"""Hydra configs: where they are found, how they are composed, checked and written back."""

from besom.config.compose import Composed, Composer
from besom.config.interpolations import overlap
from besom.config.overrides import parse_override, parse_overrides, refuse_options
from besom.config.schema import TRAIN_GROUPS
from besom.config.search_path import SearchPath, find_sweep
from besom.config.types import check_keys, dotted_paths, has_path, leaves, value_at
from besom.config.yaml_files import read_yaml

__all__ = [
    "TRAIN_GROUPS",
    "Composed",
    "Composer",
    "SearchPath",
    "check_keys",
    "dotted_paths",
    "find_sweep",
    "has_path",
    "leaves",
    "overlap",
    "parse_override",
    "parse_overrides",
    "read_yaml",
    "refuse_options",
    "value_at",
]
