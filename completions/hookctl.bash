# Completion of hookctl for bash. It asks hookctl itself, which also knows the webhooks, event types and ids of the database.

_hookctl() {
    local word typed=${2-} line
    local -a words=()
    # Bash splits --option=value into three words; without the sign they mean the same.
    for word in "${COMP_WORDS[@]:0:COMP_CWORD}"; do
        [[ $word == = ]] || words+=("$word")
    done
    # The word up to the cursor comes without the quote that opens it.
    word=${COMP_WORDS[COMP_CWORD]-}
    case $word in
        =) typed= ;;
        [\"\']*) [[ $typed == "${word:0:1}"* ]] || typed=${word:0:1}$typed ;;
    esac
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(command hookctl complete bash -- "${words[@]}" "$typed" 2>/dev/null)
}

# Where hookctl knows nothing, bash offers files. Before 4.4 it knows no nosort.
complete -o default -o nosort -F _hookctl hookctl 2>/dev/null || complete -o default -F _hookctl hookctl
