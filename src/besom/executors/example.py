"""A trial function without Keras: what documentation runs, and a pattern for one's own."""

from __future__ import annotations

from besom.seam import Report, TrialConfig, TrialResult


def parabola(config: TrialConfig, report: Report) -> TrialResult:
    """Halve the distance of ``config["x"]`` to 0 in each of ``config["epochs"]`` epochs."""
    x, losses = float(config["x"]), list[float]()
    for epoch in range(1, int(config.get("epochs", 1)) + 1):
        x /= 2
        losses.append(x * x)
        if report(epoch, {"loss": losses[-1]}):
            break
    return TrialResult(history={"loss": losses})
