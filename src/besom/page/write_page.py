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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from besom.errors import StudyError, reason_of
from besom.page.comparison_page import comparison_context
from besom.page.pictures import plot_pictures
from besom.page.study_page import study_context
from besom.report.comparison import FOLDER, Comparison
from besom.statistics import Claim
from besom.store.paths import StudyPaths, write_atomically
from besom.store.records import StudyRecord
from besom.text.printable import hidden_in, visible

#: Changes a text that a page shows.
Redact = Callable[[str], str]

_HERE = Path(__file__).parent
_VENDOR = ("vega.min.js", "vega-lite.min.js", "vega-interpreter.js")
_OWN = "script"
_FILE_SCRIPTS = (*(f"vendor/{name}" for name in _VENDOR), _OWN)
_LIVE_SCRIPTS = (*_FILE_SCRIPTS, "live.js")

#: The parts of the page's own script. They are one function, so each sees what the others declare.
#: Whatever comes from a study they set as text, never as HTML.
_OWN_PARTS = ("theme", "picked", "charts", "marks", "leaderboard", "newer_page", "start")


def write_study_page(
    study: StudyRecord,
    paths: StudyPaths,
    claimed: Claim | None = None,
    examples: bool = True,
    redact: Redact | None = None,
) -> Path:
    """Write ``report.html`` of a study.

    Args:
        study: what the page shows.
        paths: where it lands, and where plots and confirmations are.
        claimed: what may be claimed of it, where that has been computed already.
        examples: whether it shows what validation examples hold.
        redact: what each text of the page goes through; None: they are shown as they are.

    Raises:
        StudyError: the folder cannot be written.
    """
    context = study_context(study, paths, claimed, examples=examples)
    # A plot has its texts as pixels, which nothing is taken out of.
    context["pictures"] = plot_pictures(study, paths.plots) if redact is None else []
    return _write("study.html", context, paths.report, redact)


def refresh_study_page(study: StudyRecord, paths: StudyPaths, claimed: Claim | None = None) -> str:
    """Write ``report.html`` as a by-product: what has failed is returned in a line, not raised."""
    try:
        write_study_page(study, paths, claimed)
    except Exception as error:
        return f"Not written: {paths.report.name} ({reason_of(error)})."
    return ""


def write_comparison_page(
    comparison: Comparison, results_dir: Path, redact: Redact | None = None
) -> Path:
    """Write ``compare/<a>-<b>/report.html`` of several studies; see ``write_study_page``.

    Raises:
        StudyError: the folder cannot be written.
    """
    target = results_dir / FOLDER / comparison.stem / "report.html"
    context = comparison_context(comparison, results_dir)
    context |= {} if redact is None else {"pictures": []}
    return _write("comparison.html", context, target, redact)


def _write(
    template: str, context: Mapping[str, Any], target: Path, redact: Redact | None = None
) -> Path:
    try:
        write_atomically(target, page_of(template, context, redact))
    except OSError as error:
        raise StudyError(
            f"{target} cannot be written: {error.strerror or error}. Free disk space or fix the "
            "permissions."
        ) from error
    return target


def page_of(template: str, context: Mapping[str, Any], redact: Redact | None = None) -> str:
    """A page's HTML, complete in itself; each text that it shows has gone through ``redact``."""
    return _rendered(template, context, _FILE_SCRIPTS, page_policy(), None, redact)


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
    redact: Redact | None = None,
) -> str:
    return (
        _templates(redact)
        .get_template(template)
        .render(
            **context,
            policy=escape(policy),
            version=version,
            style=Markup(_asset("page.css")) if scripts else "",
            scripts=[Markup(_asset(name)) for name in scripts],
            licences=escape(_asset("vendor/LICENSES.txt")) if scripts else "",
        )
    )


@functools.cache
def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(_asset(script).encode()).digest()).decode()
    return f"'sha256-{digest}'"


@functools.cache
def _asset(name: str) -> str:
    if name == _OWN:
        parts = "\n".join(_asset(f"{_OWN}/{part}.js") for part in _OWN_PARTS)
        return f'"use strict";\n(() => {{\n{parts}}})();\n'
    return (_HERE / name).read_text(encoding="utf-8")


@functools.lru_cache(maxsize=2)
def _templates(redact: Redact | None) -> jinja2.Environment:
    """The templates, through which each text of a page goes; see ``page_of``."""

    def shown(value: Any) -> Any:
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        return visible(value if redact is None else redact(value))

    def as_json(value: Any) -> Markup:
        return script_json(value if redact is None else _mapped(value, redact))

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=shown,
    )
    environment.filters["script_json"] = as_json
    return environment


def script_json(value: Mapping[str, Any] | Sequence[Any]) -> Markup:
    """JSON that nothing in a page takes for markup."""
    text = _dumped(value)
    if hidden_in(text):
        text = _dumped(_mapped(value, visible))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _mapped(value: Any, change: Redact) -> Any:
    """Plain data with each text in it changed."""
    if isinstance(value, Mapping):
        return {change(str(key)): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return change(value) if isinstance(value, str) else value
