"""Pictures of studies and runs, each summarised as plain arrays first, and then drawn.

One module a picture: its ``summarise`` is pure, its ``draw`` only draws. ``write_plots`` and its
siblings put the two together. In every summary ``metric`` is what is drawn, ``sign`` is +1 where
larger is better, else -1, and ``window`` is the shown part of the metric's axis.
"""

from __future__ import annotations

from besom.plots.curves import write_learning_curve
from besom.plots.image_grid import write_image_grid
from besom.plots.study_curves import write_comparison
from besom.plots.write import draw_plot, not_drawn, plot_names, write_plots

__all__ = [
    "draw_plot",
    "not_drawn",
    "plot_names",
    "write_comparison",
    "write_image_grid",
    "write_learning_curve",
    "write_plots",
]
