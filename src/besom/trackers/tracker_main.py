"""The process in which one tracker writes, started by ``besom.trackers.tracker_process``."""

from __future__ import annotations

import sys
import traceback

from besom.executors.channel import PipeChannel
from besom.executors.tether import tethered
from besom.trackers import open_tracker
from besom.trackers.tracker import failure_text
from besom.trackers.tracker_messages import (
    CloseTracker,
    EpochOf,
    OpenTracker,
    TrackerBroken,
    TrackerWritten,
)


def main() -> int:
    """Run the tracker that the coordinator names."""
    channel, _ = tethered("tracker")
    try:
        try:
            said: TrackerWritten | TrackerBroken = _write(channel)
        except EOFError:  # the coordinator is gone
            return 1
        except Exception as error:  # each tracker has kinds of its own
            traceback.print_exc()
            said = TrackerBroken(failure_text(error))
        channel.send(said)
    except OSError:
        return 1
    return 0


def _write(channel: PipeChannel) -> TrackerWritten:
    first = channel.receive()
    assert isinstance(first, OpenTracker)
    sys.path[:] = first.sys_path
    tracker = open_tracker(first.name, first.study, first.folder)
    for trial in first.lacking:
        if not tracker.has(trial.number):
            tracker.write(trial)
    while not isinstance(given := channel.receive(), CloseTracker):
        if isinstance(given, EpochOf):
            tracker.epoch(given.trial, given.epoch, given.metrics)
        else:
            tracker.write(given)
    tracker.close(given.trials, given.best)
    return TrackerWritten(tracker.place)


if __name__ == "__main__":
    sys.exit(main())
