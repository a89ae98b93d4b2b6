"""A study as typed, immutable records; the name that users import :mod:`besom.store.records` by."""

from besom.store.records import Objective, Origin, Outcome, StudyRecord, TrialRecord
from besom.store.stored_records import read_study

__all__ = ["Objective", "Origin", "Outcome", "StudyRecord", "TrialRecord", "read_study"]
