#!/bin/sh
# lint.sh: what `make lint` runs. Every check prints what it found and the whole run fails at the end if any did.
# Environment: CC, WARN (compiler warnings), JOBS, VERSION, all set by the Makefile.
set -u
fail=0
say() { printf '%-22s %s\n' "$1" "$2"; }
check() { # NAME OUTPUT: empty output is good
    if [ -n "$2" ]; then
        say "$1" "FAILED"
        printf '%s\n' "$2" | sed 's/^/    /'
        fail=1
    else
        say "$1" "ok"
    fi
}

sources=$(find src tests tools -name '*.c' -not -path '*/node_modules/*' -not -path '*/venv*' | sort)
headers=$(find include -name '*.h' | sort)

# ---- the include rule: arrows point down only; siblings never include each other ------------------------------
allowed() { # layer -> layers that it may include, itself among them
    case $1 in
    base) echo "base" ;;
    tokens) echo "tokens base" ;;
    gate) echo "gate base" ;;
    net) echo "net base" ;;
    ledger) echo "ledger gate base" ;;
    config) echo "config gate tokens base" ;;
    dialect) echo "dialect gate tokens base" ;;
    proxy) echo "proxy net ledger config dialect gate tokens base" ;;
    daemon) echo "daemon proxy net ledger config dialect gate tokens base" ;;
    tool) echo "tool dialect gate tokens base" ;;
    *) echo "" ;;
    esac
}
layers() {
    for f in $(find include/metergate src -name '*.[ch]' | sort); do
        layer=$(echo "$f" | sed -E 's,^(include/metergate|src)/([^/]*)/.*,\2,')
        for inc in $(sed -nE 's,^#include "metergate/([^/"]*)/.*,\1,p' "$f" | sort -u); do
            case " $(allowed "$layer") " in
            *" $inc "*) ;;
            *) echo "$f: layer $layer may not include $inc/" ;;
            esac
        done
    done
}
check "include rule" "$(layers)"

# ---- one foreign library, one file ----------------------------------------------------------------------------
foreign() { # HEADER FILE...: only these files may include it
    h=$1
    shift
    for f in $(grep -lE "^#include <$h" -r include src 2>/dev/null); do
        case " $* " in *" $f "*) ;; *) echo "$f: <$h...> belongs to $* alone" ;; esac
    done
}
check "foreign libraries" "$(
    foreign microhttpd.h src/net/front.c src/net/front_answer.c
    foreign curl/ src/net/upstream_inside.h src/tool/client_inside.h
    foreign curses.h src/tool/screen.c
    foreign term.h src/tool/screen.c
    foreign yaml.h src/config/yaml.c
    foreign cjson/ src/base/json.c
    foreign uthash.h src/base/map.c
    foreign sqlite3.h src/ledger/db.c
    foreign zlib.h src/dialect/decode_zlib.c
    foreign zstd.h src/dialect/decode_zstd.c
    foreign openssl/ src/base/secret.c src/net/trust.c
)"

# ---- each header compiles alone -------------------------------------------------------------------------------
alone() {
    for h in $headers; do
        echo "#include \"${h#include/}\"" | ${CC:-gcc} -std=c11 -D_GNU_SOURCE -Iinclude $WARN -Werror -fsyntax-only -x c - 2>&1 |
            head -n 5 | sed "s,^,$h: ,"
        guard=$(echo "${h#include/}" | tr 'a-z/.-' 'A-Z___')
        grep -q "^#ifndef $guard\$" "$h" || echo "$h: wants the guard $guard"
    done
}
check "headers alone" "$(alone)"

# ---- warnings are errors --------------------------------------------------------------------------------------
check "warnings" "$(make --no-print-directory -s -j"${JOBS:-2}" BUILD=build/lint WERROR=-Werror lint-objects 2>&1 | grep -v '^  CC ' | tail -n 40)"

# ---- banned calls, sleeps in tests, promises --------------------------------------------------------------------
check "banned calls" "$(grep -nE '(^|[^_[:alnum:]])(strcpy|strcat|sprintf|strtok|atoi|atol|gets|system|usleep|sleep)[ ]*\(' \
    -r src include --include='*.[ch]')"
check "sleeps in tests" "$(grep -nE '(^|[^_[:alnum:]])(usleep|sleep|nanosleep)[ ]*\(' -r tests --include='*.c' --exclude-dir=node_modules --exclude-dir='venv*' | grep -v '^tests/\(simulator\|bench\)/')"
check "promises" "$(grep -nE '\b(TODO|FIXME|XXX)\b' -r src include tests tools Makefile --include='*.[ch]' --include='*.sh' --include=Makefile --exclude-dir=node_modules --exclude-dir='venv*' | grep -v 'tools/lint.sh')"

# ---- lengths: functions <= 80 lines, files <= 800 -------------------------------------------------------------
lengths() {
    for f in $(find src include tests tools -name '*.[ch]' -not -path '*/node_modules/*' -not -path '*/venv*' | sort); do
        awk -v f="$f" '/^{/{s=NR} /^}/{if(s&&NR-s+1>80)print f":"s": function of "NR-s+1" lines"; s=0}
                       END{if(NR>800)print f": file of "NR" lines"}' "$f"
    done
}
check "lengths" "$(lengths)"

# ---- one version: the Makefile's ---------------------------------------------------------------------------------
versions() {
    sed -n '1{/^metergate ('"$VERSION"'[)+~]/!s,^,debian/changelog: ,p}' debian/changelog
    for page in man/*.[1-8]; do
        grep '^[.]TH ' "$page" | grep -vF "\"Metergate $VERSION\"" | sed "s,^,$page: ,"
    done
}
check "versions" "$(versions)"

# ---- manuals: by mandoc, else groff, where there is one --------------------------------------------------------
manuals() {
    for page in man/*.[1-8]; do
        if command -v mandoc >/dev/null; then
            mandoc -T lint -W style "$page"
        elif command -v groff >/dev/null; then
            groff -man -ww -z "$page" 2>&1
        fi
    done
}
check "manuals" "$(manuals)"

# ---- analysers --------------------------------------------------------------------------------------------------
flags="-std=c11 -D_GNU_SOURCE -DMETERGATE_VERSION=\\\"0\\\" -Iinclude $(pkg-config --cflags libmicrohttpd libcurl libcjson yaml-0.1 libcrypto cmocka)"
tidy() {
    # shellcheck disable=SC2086
    printf '%s\n' $sources | xargs -P "${JOBS:-2}" -n 4 sh -c 'clang-tidy --quiet "$@" -- '"$flags"' 2>/dev/null' _ |
        grep -E 'warning:|error:' | sort -u
}
check "clang-tidy" "$(tidy)"
check "cppcheck" "$(cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
    --suppressions-list=tools/cppcheck.suppress --library=posix -D_GNU_SOURCE -DMETERGATE_VERSION='"0"' -UMETERGATE_NEVER \
    -Iinclude -j "${JOBS:-2}" --template='{file}:{line}: {id}: {message}' -i tests/sdk src tests tools 2>&1)"

if [ $fail -ne 0 ]; then
    echo "lint: failed"
    exit 1
fi
echo "lint: all good"
