# bash completion for metergated. Installed as share/bash-completion/completions/metergated.
# tests/e2e/test_tool.c compares it with --help.
_metergated() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    COMPREPLY=()
    case $prev in
    --config | -c) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --log-level) COMPREPLY=($(compgen -W 'error warn info debug' -- "$cur")); return ;;
    --listen | -l) COMPREPLY=($(compgen -W '127.0.0.1:4283 unix:/' -- "$cur")); return ;;
    esac
    COMPREPLY=($(compgen -W '--config --test --print-config --listen --log-level --version --help' -- "$cur"))
}
complete -o default -F _metergated metergated
