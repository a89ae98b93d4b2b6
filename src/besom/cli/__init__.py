"""The command line: it connects besom's parts, and nothing imports it.

Commands that report never import TensorFlow; what a command needs is imported when it runs.
"""

# Commands register when they are imported.
from besom.cli import (  # noqa: F401
    completion_command,
    confirm_command,
    init_command,
    report_commands,
    serve_command,
    show_command,
    study_commands,
    sweep_command,
)
from besom.cli.group import ORDER, Commands, main

__all__ = ["ORDER", "Commands", "main"]
