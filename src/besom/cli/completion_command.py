"""``besom completion``: the script that makes a shell complete besom's words."""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from besom.cli.group import main

#: The environment variable by which a shell's script asks for completions.
VARIABLE = "_BESOM_COMPLETE"

_PROGRAM = "besom"

#: Click's own, but for two things: what ends with ``=`` or ``.`` gets no space after it, and names
#: with spaces are quoted.
_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=',' read -r type value; do
        if [[ $type == 'plain' ]]; then
            [[ $value == *[=./] ]] && compopt -o nospace
            [[ $value == *' '* ]] && printf -v value '%%q' "$value"
            COMPREPLY+=("$value")
        elif [[ $type == 'dir' ]]; then
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            compopt -o default
        fi
    done < <(
        IFS=$'\\n'
        env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$1"
    )
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local -a words_plain words_open response
    local type key descr
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
%(complete_var)s=zsh_complete %(prog_name)s)}")
    for type key descr in ${response}; do
        case $type in
            plain) [[ $key == *[=./] ]] && words_open+=("$key") || words_plain+=("$key") ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
    (( $#words_open )) && compadd -U -S '' -V open -a words_open
    (( $#words_plain )) && compadd -U -V plain -a words_plain
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


class BesomBash(BashComplete):
    """Bash takes ``optimizer=ad`` for three words, and wants only the last of them completed."""

    source_template = _BASH
    _before = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the one it is in, put together again."""
        cursor = int(os.environ["COMP_CWORD"])
        split = split_arg_string(os.environ["COMP_WORDS"])[: cursor + 1]
        split += [""] * (cursor + 1 - len(split))
        words: list[str] = []
        for at, word in enumerate(split):
            goes_on = at > 0 and split[at - 1] == "=" and word
            if words and (goes_on or (word == "=" and len(words) > 1)):
                words[-1] += word
            else:
                words.append(word)
        *before, incomplete = words
        if incomplete != split[-1]:
            self._before = incomplete[: incomplete.rindex("=") + 1]
        return before[1:], incomplete

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Only what stands after ``=``, where bash has cut the word there."""
        return f"{item.type},{item.value.removeprefix(self._before)}"


class BesomZsh(ZshComplete):
    """Zsh, without a space after what ends with ``=`` or a dot."""

    source_template = _ZSH

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Three lines each; no help, which would need words quoted."""
        return f"{item.type}\n{item.value}\n_"


def register() -> None:
    """Let click complete in besom's way."""
    add_completion_class(BesomBash)
    add_completion_class(BesomZsh)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script for completion in bash, zsh or fish.

    \b
      source <(besom completion bash)            # in ~/.bashrc; zsh: in ~/.zshrc
      besom completion fish > ~/.config/fish/completions/besom.fish
    """
    register()
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, _PROGRAM, VARIABLE).source(), nl=False)
