"""``besom serve``: the report in a browser, live while the sweep runs."""

from __future__ import annotations

from pathlib import Path

import click

from besom.cli.completing import complete_studies
from besom.cli.group import echo, main, results_dir_option


@main.command()
@click.argument("name", required=False, shell_complete=complete_studies)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Listen there; the default is private."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Listen there instead of at a free one.",
)
@results_dir_option
def serve(name: str | None, host: str, port: int, results_dir: Path) -> None:
    """Show NAME, or all studies, live in a browser.

    It is the page of `besom report`, and follows the sweep while it runs. Open the printed address;
    Ctrl-C ends it. It only reads.
    """
    from besom.errors import StudyError
    from besom.serve import PageServer
    from besom.store.storage import find_study

    if name is not None:
        find_study(results_dir, name)
    elif not results_dir.is_dir():
        raise StudyError(
            f"The results folder {results_dir} is not there. Set --results-dir or "
            "BESOM_RESULTS_DIR to the folder of your studies."
        )
    server = PageServer(results_dir, name, host, port)
    try:
        echo(server.url)
        echo("Ctrl-C ends it.", err=True)
        if not server.is_local:
            echo(
                "besom: whoever learns this address can read the studies, and the network is not "
                "encrypted. An SSH tunnel to 127.0.0.1 is safer.",
                err=True,
            )
        server.serve_forever()
    except KeyboardInterrupt:
        echo("Ended.", err=True)
    finally:
        server.server_close()
