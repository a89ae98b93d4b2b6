"""Runs a notebook, or single cells, in a Jupyter kernel; in a process of its own.

Jupyter's own packages may warn of each other, which is nothing to fail a test of ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_RUN = """
import sys
import nbformat
from nbclient import NotebookClient

source, target, folder = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
client = NotebookClient(
    notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
)
client.execute()
nbformat.write(notebook, target)
"""


def executed(source: Path, folder: Path) -> list[dict[str, Any]]:
    """The code cells of a notebook, after each was run in ``folder``."""
    target = folder / "executed.ipynb"
    command = [sys.executable, "-W", "ignore", "-c", _RUN, str(source), str(target), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cells = json.loads(target.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def shown(cell: dict[str, Any], kind: str = "text/plain") -> str:
    """Everything that a cell has shown as this kind, and what it has printed."""
    parts = []
    for output in cell["outputs"]:
        text = output.get("data", {}).get(kind, output.get("text", ""))
        parts.append("".join(text) if isinstance(text, list) else text)
    return "\n".join(parts)


_STOP = """
import json, pathlib, sys, time
from jupyter_client.manager import start_new_kernel

code, running, folder = sys.argv[1:]
kernel, client = start_new_kernel(kernel_name="python3", cwd=folder)


def answer(interrupts):
    # Else the kernel, for a moment after the first cell's error, drops what is sent to it.
    asked = client.execute(code, stop_on_error=False)
    until = time.monotonic() + 90
    while interrupts and not pathlib.Path(running).exists() and time.monotonic() < until:
        time.sleep(0.05)
    if interrupts:
        kernel.interrupt_kernel()
    reply = client.get_shell_msg(timeout=90)
    while reply["parent_header"].get("msg_id") != asked:
        reply = client.get_shell_msg(timeout=90)
    return {key: reply["content"].get(key) for key in ("status", "ename", "evalue")}


try:
    client.wait_for_ready(timeout=90)
    print(json.dumps([answer(True), answer(False)]))
finally:
    client.stop_channels()
    kernel.shutdown_kernel(now=True)
"""


def stopped_and_run_again(code: str, running: Path, folder: Path) -> list[dict[str, str | None]]:
    """Run a cell, press the stop button once a file exists, then run the cell again.

    Returns:
        Both replies of the kernel: ``status``, ``ename`` and ``evalue``.
    """
    command = [sys.executable, "-W", "ignore", "-c", _STOP, code, str(running), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    replies: list[dict[str, str | None]] = json.loads(done.stdout.splitlines()[-1])
    return replies
