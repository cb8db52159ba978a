# Sourced by the scripts beside it: runs named steps and tells how long each took.

logs=.garret/logs
# What a step prints goes to its log; what shows how far it is goes past that.
exec {PROGRESS_FD}>&2
export PROGRESS_FD

# step NAME COMMAND... runs a command with its output in .garret/logs/NAME.log,
# shows a line when it begins, and the end of the log when it fails.
step() {
    local name=$1
    shift
    printf '==> %s\n' "$name"
    run_step "$name" "$@" || step_failed "$name"
}

# beside NAME COMMAND... begins a step that runs while others do, until join NAME.
declare -A beside_pids=()
beside() {
    local name=$1
    shift
    printf '==> %s, beside what follows\n' "$name"
    run_step "$name" "$@" &
    beside_pids[$name]=$!
}

# join NAME waits for the end of a step that beside began.
join() {
    wait "${beside_pids[$1]}" || step_failed "$1"
    unset "beside_pids[$1]"
}

step_log() { printf '%s/%s.log' "$logs" "${1// /-}"; }

run_step() {
    local name=$1 log begin
    shift
    log=$(step_log "$name")
    mkdir -p "$logs"
    begin=$EPOCHREALTIME
    "$@" >"$log" 2>&1 || return
    printf '%s %s %s\n' "$begin" "$EPOCHREALTIME" "$name" >>"$logs/timings"
}

step_failed() {
    local log
    log=$(step_log "$1")
    printf '==> %s failed; the last lines of %s:\n' "$1" "$log" >&2
    tail -n 40 "$log" >&2
    exit 1
}

# print_timings lists the steps that were run, in the order of their beginning.
print_timings() {
    sort -n "$logs/timings" | awk '{ seconds = $2 - $1; $1 = $2 = ""; printf "%8.1fs %s\n", seconds, $0 }'
}

mkdir -p "$logs"
: >"$logs/timings"
# A step that runs beside the others is not left behind when one of them fails.
trap wait EXIT
