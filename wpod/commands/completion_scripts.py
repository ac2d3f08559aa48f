"""The completion scripts of the shells.

They hold no command and no option: they ask `wpod __complete -- WORD...` (wpod/cli/completion.py), which
answers from the option table of the wpod that is completed. What is theirs is each shell's own way of
cutting words, adding blanks and completing files.
"""

from __future__ import annotations

_BASH = r"""# bash completion for wpod, written by `wpod completion bash`

_wpod()
{
    # Readline cuts words at = and : too (COMP_WORDBREAKS); here they are joined again, up to the cursor.
    local rest=${COMP_LINE:0:COMP_POINT} word i
    local -a words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        [[ $rest == *"$word"* ]] || word=${rest#"${rest%%[![:space:]]*}"} # the cursor stands inside of it
        if ((i == 0)) || [[ $rest == [[:space:]]* ]]; then
            words+=("$word")
        else
            words[${#words[@]} - 1]+=$word
        fi
        rest=${rest#*"$word"}
    done
    local current=${words[${#words[@]} - 1]} kind

    COMPREPLY=()
    {
        read -r kind _
        # Readline replaces only what stands behind the last character that it cuts at.
        local behind=${current##*[=:]}
        local cut=${current%"$behind"}
        while IFS=$'\t' read -r word _; do
            COMPREPLY+=("${word#"$cut"}")
        done
    } < <("${words[0]/#\~/$HOME}" __complete -- "${words[@]:1}" 2>/dev/null)

    case $kind in
        files) compopt -o default ;;
        directories) compopt -o plusdirs ;;
    esac 2>/dev/null
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=:,] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _wpod wpod
"""

_ZSH = r"""#compdef wpod
# zsh completion for wpod, written by `wpod completion zsh`

_wpod()
{
    local -a answer finished unfinished
    local head kind prefix line word about
    answer=("${(@f)$("${words[1]/#\~/$HOME}" __complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    head=$answer[1]
    kind=${head%% *}
    prefix=${head#* }
    for line in "${(@)answer[2,-1]}"; do
        word=${line%%$'\t'*}
        about=${line#*$'\t'}
        [[ -n $word ]] || continue
        line=${word//:/\\:}${about:+:$about}
        if [[ $word == *[=:,] ]]; then unfinished+=("$line"); else finished+=("$line"); fi
    done
    local result=1
    (( $#finished )) && _describe -t wpod wpod finished && result=0
    (( $#unfinished )) && _describe -t wpod wpod unfinished -S '' && result=0
    [[ -n $prefix ]] && [[ $kind != words ]] && compset -P "${(b)prefix}"
    case $kind in
        files) _files && result=0 ;;
        directories) _files -/ && result=0 ;;
    esac
    return $result
}

if [[ $funcstack[1] == _wpod ]]; then
    _wpod "$@"
else
    compdef _wpod wpod
fi
"""

_FISH = r"""# fish completion for wpod, written by `wpod completion fish`

function __wpod_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer ($words[1] __complete -- $words[2..] "$current" 2>/dev/null)
    set -l head (string split -m 1 ' ' -- $answer[1])
    test (count $answer) -gt 1; and printf '%s\n' $answer[2..]
    set -l typed (string sub -s (math (string length -- "$head[2]") + 1) -- "$current")
    switch "$head[1]"
        case files
            printf "$head[2]%s\n" (__fish_complete_path $typed)
        case directories
            printf "$head[2]%s\n" (__fish_complete_directories $typed '')
    end
end

complete -c wpod -f -a '(__wpod_complete)'
"""

SCRIPTS = {"bash": _BASH, "fish": _FISH, "zsh": _ZSH}
