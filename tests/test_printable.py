"""Text from outside: shown whole, and harmless in a terminal, in Markdown and in a shell."""

from __future__ import annotations

import io
import shlex
import subprocess

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from besom.report.tables import frame_table
from besom.text.console import TerminalConsole, say
from besom.text.printable import command, hidden_in, markdown_cell, one_line, visible

HOSTILE = "\x1b]0;title\x07\x9b2J \x1b[31mred [bold]x[/bold] [/no] :smile: \u202eabc\u2028\ud800"


@given(st.text())
def test_nothing_is_hidden_in_what_is_shown(text: str) -> None:
    for shown in (visible(text), one_line(text), markdown_cell(text)):
        assert not hidden_in(shown)
        shown.encode()  # no half of a character is left
    assert len(one_line(text).splitlines()) <= 1


def test_what_is_harmless_stays_as_it_is() -> None:
    for text in ("naïve café", "日本語", "👩\u200d🔬", "C:\\data", "± 0.1 – 95 %", "a b"):
        assert visible(text) == one_line(text) == text


def test_an_escape_sequence_is_shown_as_what_stands_for_it() -> None:
    assert one_line("\x1b[31m\n\u202e") == "\\x1b[31m\\n\\u202e"


@pytest.mark.parametrize("terminal", [False, True])
def test_no_text_steers_the_terminal_or_is_markup(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    console = TerminalConsole()
    console.file = io.StringIO()
    console._force_terminal = terminal
    console.width = 300
    say(console, HOSTILE)
    console.print(HOSTILE)
    columns = pd.Index([HOSTILE], dtype=object)  # a lone surrogate is no text for Arrow
    frame = pd.DataFrame([[HOSTILE]], columns=columns, dtype=object)
    console.print(frame_table(frame, HOSTILE))
    out = console.file.getvalue()
    plain = "".join(out.replace("│", "").replace("┃", "").split())
    assert plain.count("[bold]x[/bold][/no]:smile:") == 5
    assert not any(c in out for c in "\x07\x9b\u202e\u2028")
    assert "\x1b]" not in out
    assert "\x1b[31m" not in out
    assert terminal or "\x1b" not in out


@pytest.mark.parametrize("text", ["a|b", "`a`", "<b>", "*a*", "__a__", "[a](http://x)", "&lt;"])
def test_markdown_shows_a_cell_as_it_is(text: str) -> None:
    cell = markdown_cell(text)
    assert cell != text
    for character in "|`<*":
        assert cell.replace(f"\\{character}", "").count(character) == 0
    assert markdown_cell("hidden_units a-b 0.5") == "hidden_units a-b 0.5"


@pytest.mark.parametrize("name", ["plain", "my sweep", "it's", "$(id)", "a;b", "x\ny", "\x1b\\'é"])
def test_a_command_that_is_shown_can_be_pasted(name: str) -> None:
    shown = command("confirm", name, options="--on validation")
    assert not hidden_in(shown)
    assert "\n" not in shown
    script = f'besom() {{ printf "%s\\0" "$@"; }}; {shown}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode() == "".join(
        f"{w}\0" for w in ("confirm", name, "--on", "validation")
    )


def test_a_name_that_begins_like_an_option_is_none() -> None:
    assert shlex.split(command("confirm", "-rf", options="--on validation")) == [
        *("besom", "confirm", "--on", "validation", "--", "-rf")
    ]
