"""``besom completion``: the script that makes a shell complete besom's words."""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from besom.cli.group import main

#: The environment variable by which a shell's script asks for completions.
VARIABLE = "_BESOM_COMPLETE"

_PROGRAM = "besom"

#: Click's own, but for these: what ends with ``=``, ``.`` or ``/`` gets no space after it, names
#: with spaces are quoted in bash, and values may have commas in fish.
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
    compset -P 1 '*='
    for type key descr in ${response}; do
        case $type in
            plain) [[ $key == *[=./] ]] && words_open+=("$key") || words_plain+=("$key") ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
    (( $#words_open )) && compadd -S '' -V open -a words_open
    (( $#words_plain )) && compadd -V plain -a words_plain
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef %(complete_func)s %(prog_name)s
fi
"""


_FISH = """\
function %(complete_func)s
    set -l line (commandline -cp | string collect)
    set -l word (commandline -ct | string collect)
    set -l response (env COMP_WORDS=$line COMP_CWORD=$word \\
%(complete_var)s=fish_complete %(prog_name)s)
    for completion in $response
        set -l found (string split -m 1 , -- $completion)
        set -l key (string match -r '^[^=/]*=' -- $found[2])
        set -l value (string replace -r '^[^=/]*=' '' -- $found[2])
        switch $found[1]
            case dir
                printf "$key%%s\\n" (__fish_complete_directories $value)
            case file
                printf "$key%%s\\n" (__fish_complete_path $value)
            case plain
                echo -- $found[2]
        end
    end
end

complete --no-files --keep-order --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _Besom(ShellComplete):
    """What shells split differently: the value of ``optimizer=ad``, and of ``--to=m``."""

    #: What has been typed up to and with the first ``=``.
    _key = ""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """As click has it; what is typed is remembered."""
        key, equals, _ = incomplete.partition("=")
        self._key = key + equals if equals else ""
        return super().get_completions(args, incomplete)

    def _alone(self, item: CompletionItem[str]) -> str:
        """The value without its key, which click leaves out for options only."""
        return item.value.removeprefix(self._key)


class BesomBash(_Besom, BashComplete):
    """Bash takes ``optimizer=ad`` for three words, and wants only the last of them completed."""

    source_template = _BASH
    _cut = False

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
        self._cut = incomplete != split[-1]
        return before[1:], incomplete

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Only what stands after ``=``, where bash has cut the word there."""
        return f"{item.type},{'' if self._cut else self._key}{self._alone(item)}"


class BesomZsh(_Besom, ZshComplete):
    """Zsh, without a space after what ends with ``=`` or a dot; its script sets the key aside."""

    source_template = _ZSH

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Three lines each; no help, which would need words quoted."""
        return f"{item.type}\n{self._alone(item)}\n_"


class BesomFish(_Besom, FishComplete):
    """Fish wants whole words, which may have commas in them."""

    source_template = _FISH

    def format_completion(self, item: CompletionItem[str]) -> str:
        """The key again, then the value; its help behind a tab."""
        line = f"{item.type},{self._key}{self._alone(item)}"
        return f"{line}\t{item.help}" if item.help else line


def register() -> None:
    """Let click complete in besom's way."""
    add_completion_class(BesomBash)
    add_completion_class(BesomZsh)
    add_completion_class(BesomFish)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script for completion in bash, zsh or fish.

    \b
      source <(besom completion bash)      # in ~/.bashrc
      source <(besom completion zsh)       # in ~/.zshrc
      besom completion fish | source       # in ~/.config/fish/config.fish
    """
    register()
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, _PROGRAM, VARIABLE).source(), nl=False)
