#!/bin/sh
# coverage.sh BUILD [LEAST LAYER...]: the lines of each layer of src/ that the tests of that build ran (gcov's figures), and the files with the most
# that they did not. Fails when one of the layers named has less than LEAST per cent.
set -eu
build=$1
least=${2:-0}
[ $# -lt 2 ] || shift
shift
find "$build/obj/src" -name '*.gcno' | sort >"$build/objects.list"
[ -s "$build/objects.list" ] || { echo "coverage.sh: nothing with --coverage is in $build" >&2; exit 1; }
# an object that no test was linked with has notes but no data: none of its lines was run
while read -r data; do
    gcov -n -o "$(dirname "$data")" "$data" 2>/dev/null
done <"$build/objects.list" | awk -v least="$least" -v wanted=" $* " '
    /^File / { file = substr($2, 2, length($2) - 2); next }
    /^Lines executed:/ && file ~ /^src\/.*\.c$/ {
        split(substr($2, 10), share, "%")
        n = $NF; done = n * share[1] / 100
        split(file, part, "/"); layer = part[2]
        all[layer] += n; ran[layer] += done
        if (n - done >= 1) missed[file] = sprintf("%6d of %5d  %s", n - done + 0.5, n, file)
        file = ""
    }
    END {
        for (l in all) {
            percent = 100 * ran[l] / all[l]
            asked = index(wanted, " " l " ") > 0
            printf "%-8s %6.2f %% of %6d lines%s\n", l, percent, all[l], asked ? (percent < least ? "   TOO FEW" : "   ok") : "" | "sort"
            if (asked && percent < least) bad = 1
        }
        close("sort")
        print "lines that no test ran:"
        for (f in missed) print missed[f] | "sort -rn | head -n 25"
        close("sort -rn | head -n 25")
        exit bad
    }'
