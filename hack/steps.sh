# Sourced by the scripts beside it: runs named steps and tells how long each took.

# step NAME COMMAND... runs a command with its output in .garret/logs/NAME.log,
# shows a line when it begins and ends, and the end of the log when it fails.
step() {
    local name=$1 log begin status=0
    shift
    log=".garret/logs/${name// /-}.log"
    mkdir -p .garret/logs
    printf '==> %s\n' "$name"
    begin=$(date +%s.%N)
    "$@" >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        printf '==> %s failed; the last lines of %s:\n' "$name" "$log" >&2
        tail -n 40 "$log" >&2
        exit "$status"
    fi
    timings+=("$(printf '%8.1fs  %s' "$(echo "$begin $(date +%s.%N)" | awk '{print $2 - $1}')" "$name")")
}

timings=()

# print_timings lists the steps that were run.
print_timings() {
    printf '%s\n' "${timings[@]}"
}
