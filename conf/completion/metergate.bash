# bash completion for metergate. Installed as share/bash-completion/completions/metergate.
# A command's options stand in the line of its name; tests/e2e/test_tool.c compares them with --help, and the manual.
_metergate() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' first=0 i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --url | -u | --token-file | --client | -c | --priority | -p | --model | -m | --encoding | -e | --by | -b | --since | -s | --until | --limit | -n | --interval | -i) ((i++)) ;;
        # words are split at = and :, and what follows an = belongs to the option before it
        = | :) ((i++)) ;;
        -*) ;;
        *)
            if [[ -z $command ]]; then
                command=${COMP_WORDS[i]}
            elif ((!first)); then
                first=$i
            fi
            ;;
        esac
    done
    # what stands behind `metergate run [options] [--]` is a command line of its own
    if [[ $command == run ]]; then
        for ((i = 2; i < COMP_CWORD; i++)); do
            [[ ${COMP_WORDS[i]} == -- ]] && { first=$((i + 1)); break; }
        done
        if ((first)) && declare -F _command_offset >/dev/null; then
            _command_offset "$first"
            return
        fi
    fi
    case $prev in
    --priority | -p) COMPREPLY=($(compgen -W 'high normal low' -- "$cur")); return ;;
    --encoding | -e) COMPREPLY=($(compgen -W 'o200k_base cl100k_base' -- "$cur")); return ;;
    --model | -m) COMPREPLY=($(compgen -W 'gpt-4o gpt-4o-mini gpt-4.1 gpt-5 gpt-4 gpt-3.5-turbo' -- "$cur")); return ;;
    --by | -b) COMPREPLY=($(compgen -W 'model client budget upstream endpoint day hour' -- "$cur")); return ;;
    --since | -s) COMPREPLY=($(compgen -W '1h 24h 7d 30d' -- "$cur")); return ;;
    --token-file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --url | -u | --client | -c | --until | --limit | -n | --interval | -i) return ;;
    esac
    case $command in
    '') COMPREPLY=($(compgen -W 'run env status doctor top usage calls explain compare prices pause resume reload count --url --token-file --help --version' -- "$cur")) ;;
    run)
        if [[ $cur == -* ]]; then
            COMPREPLY=($(compgen -W '--url --token-file --client --priority --quiet --help --' -- "$cur"))
        else
            COMPREPLY=($(compgen -c -- "$cur"))
        fi
        ;;
    env) COMPREPLY=($(compgen -W '--url --token-file --client --priority --help' -- "$cur")) ;;
    status) COMPREPLY=($(compgen -W '--json --url --token-file --help' -- "$cur")) ;;
    top) COMPREPLY=($(compgen -W '--interval --url --token-file --help' -- "$cur")) ;;
    doctor) COMPREPLY=($(compgen -W '--offline --json --url --token-file --help' -- "$cur")) ;;
    usage) COMPREPLY=($(compgen -W '--by --since --until --json --csv --url --token-file --help' -- "$cur")) ;;
    calls) COMPREPLY=($(compgen -W '--now --limit --client --model --json --csv --url --token-file --help' -- "$cur")) ;;
    explain) COMPREPLY=($(compgen -W '--json --url --token-file --help' -- "$cur")) ;;
    compare) COMPREPLY=($(compgen -W '--since --json --url --token-file --help' -- "$cur")) ;;
    prices) COMPREPLY=($(compgen -W '--json --url --token-file --help' -- "$cur")) ;;
    pause) COMPREPLY=($(compgen -W '--url --token-file --help' -- "$cur")) ;;
    resume) COMPREPLY=($(compgen -W '--url --token-file --help' -- "$cur")) ;;
    reload) COMPREPLY=($(compgen -W '--url --token-file --help' -- "$cur")) ;;
    count)
        if [[ $cur == -* ]]; then
            COMPREPLY=($(compgen -W '--model --encoding --chat --json --help' -- "$cur"))
        else
            COMPREPLY=($(compgen -f -- "$cur"))
        fi
        ;;
    esac
}
complete -o default -F _metergate metergate
