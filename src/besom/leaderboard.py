"""The leaderboard from Python; the name that users import :mod:`besom.report.leaderboard` by."""

from besom.report.leaderboard import ranking, unranked, write_leaderboard

__all__ = ["ranking", "unranked", "write_leaderboard"]
