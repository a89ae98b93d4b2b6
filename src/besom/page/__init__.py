"""The report: one self-contained HTML page about a study, or about several side by side.

It opens from disk, asks no server for anything, and shows what the commands and the plots show:
``report/`` says the words and makes the tables, ``plots/`` summarises what each chart draws. Here
the summaries become Vega-Lite, made with Altair, and everything becomes a page. The scripts that
draw it in the browser are under ``vendor/``; ``tools/vendor_vega.py`` fetches them.
"""

from __future__ import annotations

from besom.page.write_page import refresh_study_page, write_comparison_page, write_study_page

__all__ = ["refresh_study_page", "write_comparison_page", "write_study_page"]
