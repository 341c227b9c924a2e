#!/bin/sh
# Runs the test programs given, in order (the most basic first), one line each; a failing one shows all it printed.
# The whole output of every program is kept in $BUILD/log. MG_RUNNER is what runs them (make valgrind), or nothing.
set -u
build=${BUILD:-build/release}
mkdir -p "$build/log"
passed=0 failed=0 skipped=0
for t in "$@"; do
    name=$(basename "$(dirname "$t")")/$(basename "$t")
    log=$build/log/$(echo "$name" | tr / -).log
    start=$(date +%s%N)
    MG_BIN="$build/bin" ${MG_RUNNER-} "$t" >"$log" 2>&1
    rc=$?
    ms=$((($(date +%s%N) - start) / 1000000))
    case $rc in
    0) passed=$((passed + 1)); printf 'ok    %-44s %6d ms\n' "$name" "$ms" ;;
    77) skipped=$((skipped + 1)); printf 'skip  %-44s %s\n' "$name" "$(tail -n 1 "$log")" ;;
    *) failed=$((failed + 1)); printf 'FAIL  %-44s exit %d\n' "$name" "$rc"; sed 's/^/      /' "$log" | tail -n 120 ;;
    esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
