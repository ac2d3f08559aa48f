# bash completion for wpod, written by `wpod completion bash`

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
