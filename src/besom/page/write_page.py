"""A page from its template, its style, its scripts and its data: one file that needs no other.

The page's own policy forbids every request and every script but the ones in it, which it knows by
their hashes. Vega runs without ``eval``. What comes from a study is text: in HTML it is escaped by
the template, in scripts it is JSON without ``<``.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from besom.errors import StudyError, reason_of
from besom.page.comparison_page import comparison_context
from besom.page.pictures import plot_pictures
from besom.page.study_page import study_context
from besom.report.comparison import FOLDER, Comparison
from besom.statistics import Claim
from besom.store.paths import StudyPaths, write_atomically
from besom.store.records import StudyRecord
from besom.text.printable import hidden_in, visible

_HERE = Path(__file__).parent
_VENDOR = ("vega.min.js", "vega-lite.min.js", "vega-interpreter.js")
_FILE_SCRIPTS = (*(f"vendor/{name}" for name in _VENDOR), "page.js")
_LIVE_SCRIPTS = (*_FILE_SCRIPTS, "live.js")


def write_study_page(study: StudyRecord, paths: StudyPaths, claimed: Claim | None = None) -> Path:
    """Write ``report.html`` of a study.

    Args:
        study: what the page shows.
        paths: where it lands, and where plots and confirmations are.
        claimed: what may be claimed of it, where that has been computed already.

    Raises:
        StudyError: the folder cannot be written.
    """
    context = study_context(study, paths, claimed)
    context["pictures"] = plot_pictures(study, paths.plots)
    return _write("study.html", context, paths.report)


def refresh_study_page(study: StudyRecord, paths: StudyPaths, claimed: Claim | None = None) -> str:
    """Write ``report.html`` as a by-product: what has failed is returned in a line, not raised."""
    try:
        write_study_page(study, paths, claimed)
    except Exception as error:
        return f"Not written: {paths.report.name} ({reason_of(error)})."
    return ""


def write_comparison_page(comparison: Comparison, results_dir: Path) -> Path:
    """Write ``compare/<a>-<b>/report.html`` of several studies.

    Raises:
        StudyError: the folder cannot be written.
    """
    target = results_dir / FOLDER / comparison.stem / "report.html"
    return _write("comparison.html", comparison_context(comparison, results_dir), target)


def _write(template: str, context: Mapping[str, Any], target: Path) -> Path:
    try:
        write_atomically(target, page_of(template, context))
    except OSError as error:
        raise StudyError(
            f"{target} cannot be written: {error.strerror or error}. Free disk space or fix the "
            "permissions."
        ) from error
    return target


def page_of(template: str, context: Mapping[str, Any]) -> str:
    """A page's HTML, complete in itself."""
    return _rendered(template, context, _FILE_SCRIPTS, page_policy(), None)


def live_page_of(template: str, context: Mapping[str, Any], version: int) -> str:
    """The same as a page that asks its server for what is newer than ``version``."""
    return _rendered(template, context, _LIVE_SCRIPTS, page_policy(is_live=True), version)


def live_part_of(template: str, context: Mapping[str, Any], version: int) -> str:
    """What of a live page changes: all but its style and its scripts."""
    return _rendered(template, context, (), "", version)


def page_policy(is_live: bool = False) -> str:
    """The Content-Security-Policy of a page; a live one may also ask its own server."""
    scripts = _LIVE_SCRIPTS if is_live else _FILE_SCRIPTS
    policy = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": " ".join(_hash(name) for name in scripts),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    if is_live:
        policy["connect-src"] = "'self'"
    return "; ".join(f"{key} {value}" for key, value in policy.items())


def _rendered(
    template: str,
    context: Mapping[str, Any],
    scripts: Sequence[str],
    policy: str,
    version: int | None,
) -> str:
    return (
        _templates()
        .get_template(template)
        .render(
            **context,
            policy=policy,
            version=version,
            style=Markup(_asset("page.css")) if scripts else "",
            scripts=[Markup(_asset(name)) for name in scripts],
            licences=_asset("vendor/LICENSES.txt") if scripts else "",
        )
    )


@functools.cache
def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(_asset(script).encode()).digest()).decode()
    return f"'sha256-{digest}'"


@functools.cache
def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    environment.filters["script_json"] = script_json
    return environment


def _shown(value: Any) -> Any:
    """What a template writes: text in which nothing is hidden."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def script_json(value: Mapping[str, Any] | Sequence[Any]) -> Markup:
    """JSON that nothing in a page takes for markup."""
    text = _dumped(value)
    if hidden_in(text):
        text = _dumped(_visible(value))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _visible(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {visible(str(key)): _visible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(item) for item in value]
    return visible(value) if isinstance(value, str) else value
