"""Completion for shells: commands, their flags, and where a flag takes hosts or roles, those."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence

from invoke.parser.context import ParserContext

from fleet.context import role_names
from fleet.errors import UsageError, did_you_mean
from fleet.inventory import find, load

# Each hands the words up to the cursor back to the very program that is typed, and takes its lines.
SCRIPTS = {
    "bash": """\
# ./{tool} --print-completion-script bash >> ~/.bashrc
_turnaround_{tool}() {{
    local IFS=$'\\n'
    COMPREPLY=($("${{COMP_WORDS[0]}}" --complete -- "${{COMP_WORDS[@]:1:COMP_CWORD}}" 2>/dev/null))
}}
complete -o default -F _turnaround_{tool} {tool}
""",
    "zsh": """\
# ./{tool} --print-completion-script zsh >> ~/.zshrc   (after compinit)
_turnaround_{tool}() {{
    local -a found
    found=("${{(@f)$("${{words[1]}}" --complete -- "${{(@)words[2,CURRENT]}}" 2>/dev/null)}}")
    compadd -Q -a found
}}
compdef _turnaround_{tool} {tool}
""",
    "fish": """\
# ./{tool} --print-completion-script fish > ~/.config/fish/completions/{tool}.fish
function __turnaround_{tool}
    set -l typed (commandline -opc) (commandline -ct)
    $typed[1] --complete -- $typed[2..-1] 2>/dev/null
end
complete -c {tool} -a '(__turnaround_{tool})'
""",
}
HOSTS, ONE_HOST, TAGS = ("target", "limit"), ("host", "as"), ("tags",)
Values = Callable[[str], Sequence[str]]


def script(tool: str, shell: str) -> str:
    """Returns what a shell must read to complete a command.

    Args:
        tool: fab or inv.
        shell: bash, zsh or fish.

    Raises:
        UsageError: it is another shell.
    """
    if shell not in SCRIPTS:
        known = ", ".join(SCRIPTS)
        raise UsageError(
            f"{tool}: no completion for the shell {shell}{did_you_mean(shell, SCRIPTS)}",
            f"there is one for {known}",
        )
    return SCRIPTS[shell].format(tool=tool)


def candidates(
    words: Sequence[str], contexts: Mapping[str, ParserContext], values: Values
) -> list[str]:
    """Returns what the last word may become.

    Args:
        words: those after the program's name, up to the cursor; the last may be empty.
        contexts: the commands by name.
        values: gives what the value of a flag may be, by the flag's name without dashes.

    Example:
        >>> candidates(["converge", "--target", "EC-TAA,!h"], contexts, values)  # doctest: +SKIP
        ['EC-TAA,!hangar']
    """
    *before, word = words or [""]
    command = next((each for each in before if each in contexts), "")
    if not command:
        return [name for name in sorted(contexts) if name.startswith(word)]
    context = contexts[command]
    flag = context.flags.get(before[-1])
    if flag is not None and flag.takes_value:
        return _of(flag.names[0], word, values)
    if not word.startswith("-") and context.positional_args:
        bare = [
            each
            for each, former in zip(before, ["", *before], strict=False)
            if not each.startswith("-") and not _takes_value(context, former) and each != command
        ]
        if len(bare) < len(context.positional_args):
            found = _of(context.positional_args[len(bare)].names[0], word, values)
            if found:
                return found
    flags = [name for name in context.flag_names() if name.startswith("--")]
    return sorted(name for name in flags if name.startswith(word) and name not in before)


def _takes_value(context: ParserContext, word: str) -> bool:
    flag = context.flags.get(word)
    return flag is not None and bool(flag.takes_value)


def _of(name: str, word: str, values: Values) -> list[str]:
    """The values of a flag; of a list with commas the last part is completed."""
    name = name.strip("_").replace("_", "-")
    head, comma, part = word.rpartition(",") if name in (*HOSTS, *TAGS) else ("", "", word)
    mark = "!" if name in HOSTS and part.startswith("!") else ""
    found = [each for each in values(name) if each.startswith(part.removeprefix(mark))]
    return [f"{head}{comma}{mark}{each}" for each in found]


def known(name: str) -> Sequence[str]:
    """Returns what the value of a flag may be here and now; nothing where nobody can say."""
    if name in TAGS:
        return sorted({*role_names(), *_nouns()})
    if name not in (*HOSTS, *ONE_HOST):
        return ()
    try:
        inventory = load(find(None))
    except UsageError:
        return ()  # whoever completes a line is told by the command itself
    together = () if name in ONE_HOST else ("all", *inventory.groups)
    return sorted({*inventory.hosts, *together})


def _nouns() -> frozenset[str]:
    from require import resources

    return frozenset(found.name for found in pkgutil.iter_modules(resources.__path__))
