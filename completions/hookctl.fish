# Completion of hookctl for fish. It asks hookctl itself, which also knows the webhooks, event types and ids of the database.

function __hookctl_complete
    set -l word (commandline --current-token --cut-at-cursor)
    set -l found (command hookctl complete fish -- (commandline --current-process --tokenize --cut-at-cursor) "$word" 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        # Where hookctl knows nothing, fish offers files.
        __fish_complete_path "$word"
    end
end

complete --command hookctl --no-files --keep-order --arguments '(__hookctl_complete)'
