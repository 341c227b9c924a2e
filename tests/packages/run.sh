#!/bin/sh
# run.sh RELEASE BUILD-PACKAGES: the Debian package of this tree, made in a root that has nothing but a bare RELEASE and BUILD-PACKAGES,
# looked at by that release's lintian, and used in a booted one: lifecycle.sh. Built again it must be the same, byte for byte; a third one, of a
# later version, is what an upgrade comes to.
# 77 and a sentence where no root can be made (tests/system/root.sh says what it takes).
set -eu
release=$1 packages=$2
here=$(cd "$(dirname "$0")/../.." && pwd)
out=$here/build/packages/$release
rm -rf "$out"
mkdir -p "$out"

echo "building in a bare $release"
sh "$here/tests/system/root.sh" --release "$release" --with "$packages" --take '/root/out/*' "$out" '
    set -e
    mkdir /root/out
    make deb
    mv build/deb/*.deb build/deb/metergate-*/build/release/bin/metergate-simulator /root/out/
    DEB_BUILD_OPTIONS=nocheck LINTIAN= make deb
    cmp /root/out/metergate_*.deb build/deb/metergate_*.deb
    echo "ok     the same bytes the second time"
    DEB_BUILD_OPTIONS=nocheck SUFFIX=+1 LINTIAN= make deb
    mv build/deb/metergate_*.deb /root/out/' >"$out/build.log" 2>&1 || {
    rc=$?
    tail -n 40 "$out/build.log"
    exit $rc
}
grep -E '^(ok  |[NPIWE]: )' "$out/build.log" || true
first=$(echo "$out"/metergate_*_*.deb | tr ' ' '\n' | grep -v '+1_')
second=$(echo "$out"/metergate_*+1_*.deb)

echo "without a service manager, in a bare $release"
sh "$here/tests/system/root.sh" --release "$release" --put "$first" "
    set -e
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends /root/${first##*/} >/dev/null 2>&1
    metergated --test --config /etc/metergate/metergate.yaml
    metergated --version
    apt-get purge -y -qq metergate >/dev/null 2>&1
    [ ! -e /etc/metergate ] && echo 'ok     installed with what it depends on, and purged'"

echo "in a booted $release"
sh "$here/tests/system/root.sh" --release "$release" --with "$packages" --boot --put "$first" --put "$second" \
    --put "$out/metergate-simulator" "sh tests/packages/lifecycle.sh /root/${first##*/} /root/${second##*/}"
