#!/bin/sh
# deb.sh VERSION: makes the Debian source and binary packages of this tree into build/deb, and has lintian look at them.
# They are made of what git knows, as it is now; where there is no git, of the whole tree, which then has to be a clean one.
#
# VERSION is the Makefile's, and debian/changelog must begin with it; a "+..." or "~..." after it there is a packager's own.
# SUFFIX=+1 in the environment adds an entry with that suffix: another package of the same sources, to test upgrades with.
# LINTIAN= leaves lintian out; it looks with Debian's eyes, whose the package is, on Ubuntu too. The same tree gives the same packages, byte for byte: every date in them is the changelog's.
set -eu
version=$1
root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/build/deb
suffix=${SUFFIX:-}
cd "$root"

if ! sed -n '1s/^metergate (\(.*\)) .*/\1/p' debian/changelog | grep -Eq "^$(printf %s "$version" | sed 's/[.]/[.]/g')([+~].*)?$"; then
    echo "deb: debian/changelog begins with another version than the Makefile's $version: $(head -n 1 debian/changelog)" >&2
    exit 1
fi

tree=$out/metergate-$version
rm -rf "$out"
mkdir -p "$tree"
if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files -z | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh | tar -c --null -T - --no-recursion
else
    tar -c --exclude=./build --exclude=__pycache__ --exclude=node_modules --exclude='./tests/sdk/venv*' .
fi | tar -x -C "$tree" --no-same-owner

cd "$tree"
if [ -n "$suffix" ]; then
    {
        printf 'metergate (%s%s) unstable; urgency=medium\n\n  * The same once more.\n\n' "$version" "$suffix"
        sed -n '/^ -- /{p;q}' debian/changelog
        echo
        cat debian/changelog
    } >debian/changelog.new
    mv debian/changelog.new debian/changelog
fi
# dpkg moves later dates back to the changelog's; earlier ones it would leave.
find . -exec touch -h -d "@$(dpkg-parsechangelog -S Timestamp)" {} +
dpkg-buildpackage -us -uc
[ "${LINTIAN-yes}" = "" ] || lintian --profile debian -i --pedantic --fail-on error,warning "$out"/metergate_*.changes
ls "$out"/*.deb "$out"/*.dsc
