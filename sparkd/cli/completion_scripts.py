"""Completion scripts for bash, zsh and fish, from what a command line knows.

Each is a fixed function and tables: at which point of the command line one is, what may stand there. Names of
models are asked for when TAB is pressed (`sparkctl completion models`), so a script does not age with the catalogue.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct


class Option(Struct, frozen=True):
    """`-a, --all`. `takes`: see Place; "" where it stands alone."""

    names: tuple[str, ...]
    help: str
    takes: str


class Place(Struct, frozen=True):
    """A point of a command line, such as "sparkctl logs": what may follow.

    `takes` says what an argument is: "models", "runtimes", "files", "words a b c" or "nothing" that could be known.
    """

    at: str
    options: tuple[Option, ...]
    commands: Mapping[str, str]
    takes: str


BASH: Final = r"""
_sparkd_complete() {
    local line=${COMP_LINE:0:COMP_POINT} at=${1##*/} option='' kind word broken i
    local -a words ask
    read -ra words <<< "$line"
    [[ $line != *[[:space:]] ]] || words+=('')
    # With `sudo` before it, the line is sudo's; bash-completion gives us our own.
    word=${words[-1]} ask=(sparkctl)
    [[ $at != sparkctl ]] || ask=("${words[0]/#\~/$HOME}")
    for i in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $option ]]; then
            [[ $option != --catalogue ]] || ask+=("--catalogue=$i")
            option=
        elif [[ -n ${_sparkd_values["$at $i"]+known} ]]; then
            option=$i
        elif [[ $i == --catalogue=* ]]; then
            ask+=("$i")
        elif [[ " ${_sparkd_commands["$at"]} " == *" $i "* ]]; then
            at+=" $i"
        fi
    done
    if [[ -n $option ]]; then
        kind=${_sparkd_values["$at $option"]}
    elif [[ $word == --*=* ]]; then
        kind=${_sparkd_values["$at ${word%%=*}"]-}
    elif [[ $word == -* ]]; then
        kind="words ${_sparkd_options["$at"]}"
    elif [[ -n ${_sparkd_commands["$at"]} ]]; then
        kind="words ${_sparkd_commands["$at"]}"
    else
        kind=${_sparkd_takes["$at"]}
    fi
    # Bash thinks that a word begins after : and =.
    broken=${word%"${word##*[:=]}"}
    [[ $word != --*=* ]] || word=${word#*=} broken=${broken#*=}
    case $kind in
        files)
            compopt -o filenames 2> /dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            ;;
        words\ *) mapfile -t COMPREPLY < <(compgen -W "${kind#words }" -- "$word") ;;
        models | runtimes)
            mapfile -t COMPREPLY < <(compgen -W "$("${ask[@]}" completion "$kind" 2> /dev/null)" -- "$word")
            COMPREPLY=("${COMPREPLY[@]#"$broken"}")
            ;;
        *) COMPREPLY=() ;;
    esac
}
complete -F _sparkd_complete sparkctl sparkd
"""

ZSH: Final = r"""
_sparkd_complete() {
    local at=${words[1]:t} option='' kind word i
    local -a ask found
    ask=(sparkctl)
    [[ $at != sparkctl ]] || ask=(${~words[1]})
    for i in ${words[2,CURRENT-1]}; do
        if [[ -n $option ]]; then
            [[ $option != --catalogue ]] || ask+=("--catalogue=${(Q)i}")
            option=
        elif (( ${+_sparkd_values[$at $i]} )); then
            option=$i
        elif [[ $i == --catalogue=* ]]; then
            ask+=(${(Q)i})
        elif [[ $'\n'${_sparkd_commands[$at]} == *$'\n'"$i":* ]]; then
            at="$at $i"
        fi
    done
    word=${words[CURRENT]}
    if [[ -n $option ]]; then
        kind=${_sparkd_values[$at $option]}
    elif [[ $word == --*=* ]]; then
        kind=${_sparkd_values[$at ${word%%=*}]}
        compset -P '*='
    elif [[ $word == -* ]]; then
        found=(${(f)_sparkd_options[$at]})
        _describe option found
        return
    elif [[ -n ${_sparkd_commands[$at]} ]]; then
        found=(${(f)_sparkd_commands[$at]})
        _describe command found
        return
    else
        kind=${_sparkd_takes[$at]}
    fi
    case $kind in
        files) _files ;;
        words\ *) compadd -- ${=kind#words } ;;
        models|runtimes) compadd -- ${(f)"$(_call_program names $ask completion $kind 2> /dev/null)"} ;;
        *) return 1 ;;
    esac
}
if [[ $funcstack[1] == _sparkctl ]]; then
    _sparkd_complete "$@"
else
    compdef _sparkd_complete sparkctl sparkd
fi
"""

FISH: Final = r"""
function __sparkd_ask
    set -l words (commandline -opc)
    set -l ask sparkctl
    string match -q -r '(^|/)sparkctl$' -- $words[1]; and set ask $words[1]
    for i in (seq (count $words))
        string match -q -- '--catalogue=*' $words[$i]; and set -a ask $words[$i]
        string match -q -- --catalogue $words[$i]; and test $i -lt (count $words)
        and set -a ask --catalogue=$words[(math $i + 1)]
    end
    $ask completion $argv 2>/dev/null
end
function __sparkd_is_at
    test "$(__sparkd_at)" = "$argv"
end
"""


def bash(places: Sequence[Place]) -> str:
    """The script for bash 4.4 or newer, with or without the package bash-completion."""
    tables = {
        "_sparkd_commands": [(place.at, " ".join(place.commands)) for place in places],
        "_sparkd_options": [(place.at, " ".join(_names(place))) for place in places],
        "_sparkd_takes": [(place.at, place.takes) for place in places],
        "_sparkd_values": list(_values(places)),
    }
    parts = [_table(name, rows, "[{}]={}") for name, rows in tables.items()]
    return f"{_heading('bash')}\n{''.join(parts)}{BASH}"


def zsh(places: Sequence[Place]) -> str:
    """The script for zsh: a file `_sparkctl` in a folder of `fpath`, or sourced after `compinit`."""
    tables = {
        "_sparkd_commands": [(place.at, _described(place.commands)) for place in places],
        "_sparkd_options": [(place.at, _described(_explained(place))) for place in places],
        "_sparkd_takes": [(place.at, place.takes) for place in places],
        "_sparkd_values": list(_values(places)),
    }
    parts = [_table(name, rows, "{} {}") for name, rows in tables.items()]
    return f"#compdef sparkctl sparkd\n{_heading('zsh')}\n{''.join(parts)}{ZSH}"


def fish(places: Sequence[Place]) -> str:
    """The script for fish 3.4 or newer."""
    lines = [_heading("fish"), FISH.strip(), *_fish_at(places)]
    for place in places:
        program = place.at.split()[0]
        here = f"complete -c {program} -n {_fish(f'__sparkd_is_at {place.at}')}"
        if program == place.at:
            lines.append(f"complete -c {program} -f")
        lines += [f"{here} -a {name} -d {_fish(text)}" for name, text in place.commands.items()]
        if place.takes != "nothing" and not place.commands:
            lines.append(f"{here} {_fish_takes(place.takes)}")
        for option in place.options:
            names = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
            )
            takes = (
                f" -{'r' if option.takes == 'files' else 'x'} {_fish_takes(option.takes)}"
                if option.takes
                else ""
            )
            lines.append(f"{here} {names}{takes} -d {_fish(option.help)}")
    return "\n".join(lines) + "\n"


SHELLS: Final[Mapping[str, Callable[[Sequence[Place]], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}


def _heading(shell: str) -> str:
    return f"# Completions of sparkctl and sparkd. Made by `sparkctl completion {shell}`."


def _names(place: Place) -> list[str]:
    return [name for option in place.options for name in option.names]


def _explained(place: Place) -> dict[str, str]:
    return {name: option.help for option in place.options for name in option.names}


def _values(places: Sequence[Place]) -> Iterator[tuple[str, str]]:
    """The options that take a value, each with its place."""
    for place in places:
        for option in place.options:
            yield from ((f"{place.at} {name}", option.takes) for name in option.names if option.takes)


def _table(name: str, rows: Sequence[tuple[str, str]], form: str) -> str:
    lines = (f"    {form.format(shlex.quote(key), shlex.quote(value))}\n" for key, value in rows)
    return f"typeset -gA {name}=(\n{''.join(lines)})\n"


def _described(texts: Mapping[str, str]) -> str:
    return "\n".join(f"{name}:{text}" for name, text in texts.items())


def _fish_at(places: Sequence[Place]) -> Iterator[str]:
    """The function that prints where one is."""
    yield "function __sparkd_at"
    yield "    set -l words (commandline -opc)"
    yield "    set -l at (string replace -r '.*/' '' -- $words[1])"
    yield "    set -l value no"
    yield "    for word in $words[2..]"
    yield "        if test $value = yes; set value no; continue; end"
    yield '        switch "$at $word"'
    for key, _ in _values(places):
        yield f"            case {_fish(key)}; set value yes"
    for place in places:
        yield from (
            f"            case {_fish(f'{place.at} {name}')}; set at $at {name}" for name in place.commands
        )
    yield "        end"
    yield "    end"
    yield '    echo "$at"'
    yield "end"


def _fish_takes(takes: str) -> str:
    if takes == "files":
        return "-F"
    if takes.startswith("words "):
        return f"-a {_fish(takes.removeprefix('words '))}"
    return f"-a {_fish(f'(__sparkd_ask {takes})')}" if takes != "nothing" else ""


def _fish(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
