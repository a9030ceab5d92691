"""Completion scripts for bash, zsh and fish, from a command line's parsers.

Each has a fixed function and tables: the point of the command line, and what may follow. Model names are looked up when
TAB is pressed (`sparkctl completion models`), so a script never becomes outdated when the catalogue changes.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct


class Option(Struct, frozen=True):
    """`-a, --all`. `value_kind`: see CommandNode; "" if it takes no value."""

    names: tuple[str, ...]
    help: str
    value_kind: str


class CommandNode(Struct, frozen=True):
    """A point of a command line, such as "sparkctl logs": what may follow.

    `value_kind` of an argument: "models", "runtimes", "files", "choices a b c" or "nothing" if unknown.
    """

    path: str
    options: tuple[Option, ...]
    commands: Mapping[str, str]
    value_kind: str


BASH: Final = r"""
_sparkd_complete() {
    local line=${COMP_LINE:0:COMP_POINT} at=${1##*/} option='' kind word broken i
    local -a words ask
    read -ra words <<< "$line"
    [[ $line != *[[:space:]] ]] || words+=('')
    # After `sudo`, COMP_LINE is sudo's; bash-completion passes our part of it.
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
        kind="choices ${_sparkd_options["$at"]}"
    elif [[ -n ${_sparkd_commands["$at"]} ]]; then
        kind="choices ${_sparkd_commands["$at"]}"
    else
        kind=${_sparkd_takes["$at"]}
    fi
    # Bash starts a new word after : and =.
    broken=${word%"${word##*[:=]}"}
    [[ $word != --*=* ]] || word=${word#*=} broken=${broken#*=}
    case $kind in
        files)
            compopt -o filenames 2> /dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            ;;
        choices\ *) mapfile -t COMPREPLY < <(compgen -W "${kind#choices }" -- "$word") ;;
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
        choices\ *) compadd -- ${=kind#choices } ;;
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


def render_bash(nodes: Sequence[CommandNode]) -> str:
    """The script for bash 4.4 or newer, with or without the package bash-completion."""
    tables = {
        "_sparkd_commands": [(node.path, " ".join(node.commands)) for node in nodes],
        "_sparkd_options": [(node.path, " ".join(_option_names(node))) for node in nodes],
        "_sparkd_takes": [(node.path, node.value_kind) for node in nodes],
        "_sparkd_values": list(_value_options(nodes)),
    }
    parts = [_render_array(name, rows, "[{}]={}") for name, rows in tables.items()]
    return f"{_render_heading('bash')}\n{''.join(parts)}{BASH}"


def render_zsh(nodes: Sequence[CommandNode]) -> str:
    """The script for zsh: a file `_sparkctl` in a folder of `fpath`, or sourced after `compinit`."""
    tables = {
        "_sparkd_commands": [(node.path, _render_descriptions(node.commands)) for node in nodes],
        "_sparkd_options": [(node.path, _render_descriptions(_option_help(node))) for node in nodes],
        "_sparkd_takes": [(node.path, node.value_kind) for node in nodes],
        "_sparkd_values": list(_value_options(nodes)),
    }
    parts = [_render_array(name, rows, "{} {}") for name, rows in tables.items()]
    return f"#compdef sparkctl sparkd\n{_render_heading('zsh')}\n{''.join(parts)}{ZSH}"


def render_fish(nodes: Sequence[CommandNode]) -> str:
    """The script for fish 3.4 or newer."""
    lines = [_render_heading("fish"), FISH.strip(), *_render_fish_position(nodes)]
    for node in nodes:
        program = node.path.split()[0]
        condition = f"complete -c {program} -n {_quote_fish(f'__sparkd_is_at {node.path}')}"
        if program == node.path:
            lines.append(f"complete -c {program} -f")
        lines += [f"{condition} -a {name} -d {_quote_fish(text)}" for name, text in node.commands.items()]
        if node.value_kind != "nothing" and not node.commands:
            lines.append(f"{condition} {_render_fish_values(node.value_kind)}")
        for option in node.options:
            names = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
            )
            value_kind = (
                f" -{'r' if option.value_kind == 'files' else 'x'} {_render_fish_values(option.value_kind)}"
                if option.value_kind
                else ""
            )
            lines.append(f"{condition} {names}{value_kind} -d {_quote_fish(option.help)}")
    return "\n".join(lines) + "\n"


SHELLS: Final[Mapping[str, Callable[[Sequence[CommandNode]], str]]] = {
    "bash": render_bash,
    "zsh": render_zsh,
    "fish": render_fish,
}


def _render_heading(shell: str) -> str:
    return f"# Completions of sparkctl and sparkd, generated by `sparkctl completion {shell}`."


def _option_names(node: CommandNode) -> list[str]:
    return [name for option in node.options for name in option.names]


def _option_help(node: CommandNode) -> dict[str, str]:
    return {name: option.help for option in node.options for name in option.names}


def _value_options(nodes: Sequence[CommandNode]) -> Iterator[tuple[str, str]]:
    """The options that take a value, each with its command."""
    for node in nodes:
        for option in node.options:
            yield from (
                (f"{node.path} {name}", option.value_kind) for name in option.names if option.value_kind
            )


def _render_array(name: str, rows: Sequence[tuple[str, str]], form: str) -> str:
    lines = (f"    {form.format(shlex.quote(key), shlex.quote(value))}\n" for key, value in rows)
    return f"typeset -gA {name}=(\n{''.join(lines)})\n"


def _render_descriptions(texts: Mapping[str, str]) -> str:
    return "\n".join(f"{name}:{text}" for name, text in texts.items())


def _render_fish_position(nodes: Sequence[CommandNode]) -> Iterator[str]:
    """The function that prints the current point of the command line."""
    yield "function __sparkd_at"
    yield "    set -l typed (commandline -opc)"
    yield "    set -l at (string replace -r '.*/' '' -- $typed[1])"
    yield "    set -l value no"
    yield "    for word in $typed[2..]"
    yield "        if test $value = yes; set value no; continue; end"
    yield '        switch "$at $word"'
    for key, _ in _value_options(nodes):
        yield f"            case {_quote_fish(key)}; set value yes"
    for node in nodes:
        yield from (
            f"            case {_quote_fish(f'{node.path} {name}')}; set at $at {name}"
            for name in node.commands
        )
    yield "        end"
    yield "    end"
    yield '    echo "$at"'
    yield "end"


def _render_fish_values(value_kind: str) -> str:
    if value_kind == "files":
        return "-F"
    if value_kind.startswith("choices "):
        return f"-a {_quote_fish(value_kind.removeprefix('choices '))}"
    return f"-a {_quote_fish(f'(__sparkd_ask {value_kind})')}" if value_kind != "nothing" else ""


def _quote_fish(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
