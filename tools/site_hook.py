"""What MkDocs calls while it builds the docs site; ``mkdocs.yml`` names this file."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import site_pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside ``docs/``."""
    for place in site_pages.OUTSIDE:
        files.append(File.generated(config, place, content=site_pages.source_text(place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Fill in the reference, and lead links to where their targets are on the site."""
    made = site_pages.on_site(markdown, page.file.src_uri, files.src_uris)
    if "side-by-side" in made:
        page.meta["hide"] = ["toc"]  # it needs the width, and begins with a table of contents
    return made
