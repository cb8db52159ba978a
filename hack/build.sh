#!/usr/bin/env bash
# Builds programs into bin/ and counts the packages that it compiles, of those that
# the build cache does not have:
#
#     hack/build.sh PART ARGUMENTS-OF-GO-BUILD...
#
# MODULE=PATH@VERSION builds that module with its own go.mod; with PREPARE=COMMAND,
# it builds a copy of the module in which it ran that command first. FOLDER=DIR builds
# one of our modules that is not in go.work. OUT=DIR is the folder for the programs
# instead of bin.
# On a terminal the count stays on one line; elsewhere it prints a line from time to time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=$PWD/${OUT:-bin}

part=$1
shift
# The steps of hack/steps.sh keep the output and leave a way around it.
show=${PROGRESS_FD:-2}
begin=$SECONDS
compiled=0
shown=$begin

print() {
    if [ -t "$show" ]; then
        printf '\r\033[K    %s: %s, %d s' "$part" "$1" $((SECONDS - begin)) >&"$show"
    elif [ $((SECONDS - shown)) -ge 20 ]; then
        printf '    %s: %s, %d s\n' "$part" "$1" $((SECONDS - begin)) >&"$show"
        shown=$SECONDS
    fi
}

clear_line() { [ ! -t "$show" ] || printf '\r\033[K' >&"$show"; }

# Downloads go by in the same line; everything else that go says is shown.
follow() {
    local line
    while IFS= read -r line; do
        case $line in
            "go: downloading "*) print "downloading ${line##* downloading }" ;;
            *" "* | "") printf '%s\n' "$line" ;;
            *)
                compiled=$((compiled + 1))
                if [ $compiled -lt "$total" ]; then
                    print "$compiled of $total packages compiled"
                else
                    print "linking"
                fi
                ;;
        esac
    done
}

total=0
print "looking at what is to be compiled"
scratch=$(mktemp -d)
trap 'clear_line; rm -rf "$scratch"' EXIT
if [ -n "${MODULE:-}" ]; then
    export GOWORK=off
    prepare=${PREPARE:+$(realpath "$PREPARE")}
    cd "$(go mod download -json "$MODULE" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')"
    if [ -n "$prepare" ]; then
        cp -r . "$scratch/module"
        chmod -R u+w "$scratch/module"
        cd "$scratch/module"
        "$prepare"
    fi
elif [ -n "${FOLDER:-}" ]; then
    export GOWORK=off
    cd "$FOLDER"
fi
listed=$scratch/listed
go list -deps -f '{{if .Stale}}x{{end}}' "$@" 2>&1 >"$listed" | follow
total=$(grep -c x "$listed" || true)
go build -v -o "$bin/" "$@" 2>&1 | follow

# go build touches programs that it left as they are. Their time must not move,
# or all that is made from them would be made again.
mkdir -p "$bin/.ids"
for program in "$bin"/*; do
    known=$bin/.ids/${program##*/}
    if [ ! -f "$program" ] || [ -L "$program" ] || { [ -f "$known" ] && [ ! "$program" -nt "$known" ]; }; then
        continue
    fi
    id=$(go tool buildid "$program" 2>/dev/null) && [ -n "$id" ] || continue # not a program of Go
    [ "$id" = "$(cat "$known" 2>/dev/null)" ] || printf '%s\n' "$id" >"$known"
    touch -r "$known" "$program"
done
