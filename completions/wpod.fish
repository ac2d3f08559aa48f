# fish completion for wpod, written by `wpod completion fish`

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
