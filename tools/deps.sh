#!/bin/sh
# deps.sh "PKGCONFIG-NAMES" "DEBIAN-PACKAGES" | deps.sh --programs "NAMES" "DEBIAN-PACKAGES" | deps.sh --fuzzer
# --fuzzer is libFuzzer's runtime for the clang that is there; its package has clang's version in its name.
# Does nothing when all is there. Otherwise says what it will install and installs it with apt-get: as root, or with
# sudo when a terminal is there to ask for the password.
set -eu
missing=
if [ "$1" = --programs ]; then
    shift
    for p in $1; do command -v "$p" >/dev/null 2>&1 || missing="$missing $p"; done
elif [ "$1" = --fuzzer ]; then
    version=$(clang -dumpversion)
    set -- "" "libclang-rt-${version%%.*}-dev"
    # where clang keeps it differs by version, so clang is asked to link with it
    echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n); int LLVMFuzzerTestOneInput(const char *p, unsigned long n)
        { return p == 0 && n; }' | clang -fsanitize=address,fuzzer -x c -o /dev/null - 2>/dev/null || missing=" libFuzzer's runtime"
else
    command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || missing="$missing gcc"
    if command -v pkg-config >/dev/null 2>&1; then
        for p in $1; do pkg-config --exists "$p" || missing="$missing $p"; done
    else
        missing="$missing pkg-config"
    fi
    # header-only packages have no .pc file
    [ -e /usr/include/uthash.h ] || missing="$missing uthash"
    command -v make >/dev/null 2>&1 || missing="$missing make"
fi
[ -z "$missing" ] && exit 0
echo "deps: missing:$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "deps: this is not a Debian system; install the equivalents of: $2" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    if [ -t 0 ] && command -v sudo >/dev/null 2>&1; then
        as_root=sudo
    else
        echo "deps: not root and no terminal for sudo; run as root: apt-get install $2" >&2
        exit 1
    fi
fi
echo "deps: installing: $2"
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $2 >/dev/null
