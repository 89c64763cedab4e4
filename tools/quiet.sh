# Sourced by the scripts: run something quietly, and show what it said only when it failed.
# shellcheck shell=bash

quiet() # WHAT COMMAND...: shows the output under the title WHAT if COMMAND fails
{
    local what=$1 log status=0
    shift
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    if [ $status -ne 0 ]; then
        printf '== %s failed (exit %d)\n' "$what" "$status" >&2
        cat "$log" >&2
    fi
    rm -f "$log"
    return $status
}

cores()
{
    nproc 2>/dev/null || echo 2
}
