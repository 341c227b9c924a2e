#!/bin/sh
# root.sh [OPTION]... COMMAND
# Runs the shell COMMAND as root in a root of a Debian or Ubuntu release that has nothing but what is named here, and throws it away
# afterwards. The tree of this checkout, as it is now and without what git ignores, is /root/metergate there, and the working directory.
#
#   --release NAME   bookworm (default), trixie, noble, ...
#   --with PACKAGES  what is installed besides the bare root, systemd, dbus and make
#   --boot           systemd is process 1 there, COMMAND one of its units, and the network is a loopback of its own: nothing that runs
#                    on this machine is in the way. Without it COMMAND is all that runs, and the network is this machine's
#   --network        with --boot: this machine's network all the same
#   --build DIR      is bound to /root/metergate/build, so that what was built there is still there the next time
#   --put FILE       is copied to /root/ (may be given again)
#   --take PATH DIR  PATH (a pattern) of the root is copied to DIR afterwards, whatever became of COMMAND (may be given again)
#
# Ends with COMMAND's status; 77 and a sentence when no root can be made here: that takes root, debootstrap and systemd-nspawn, which are
# installed where they are missing. Roots are kept in build/roots ($METERGATE_ROOTS) as they were before COMMAND; remove them to have
# newer packages.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
cache=${METERGATE_ROOTS:-$here/build/roots}
release=bookworm with= boot= network= build= puts= takes= root=

skip() { echo "skipped: $1"; exit 77; }
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 64; }

while [ $# -gt 1 ]; do
    case $1 in
    --release) release=$2; shift 2 ;;
    --with) with=$2; shift 2 ;;
    --boot) boot=yes; shift ;;
    --network) network=yes; shift ;;
    --build) mkdir -p "$2" && build=$(cd "$2" && pwd); shift 2 ;;
    --put) puts="$puts $2"; shift 2 ;;
    --take) takes="$takes $2>$3"; shift 3 ;;
    *) usage ;;
    esac
done
[ $# -eq 1 ] || usage
command=$1

[ "$(id -u)" = 0 ] || skip "a root of its own can be made by root only"
sh "$here/tools/deps.sh" --programs "debootstrap systemd-nspawn gpgv curl" "debootstrap systemd-container gpgv curl" >&2 ||
    skip "debootstrap and systemd-nspawn cannot be installed here"
mkdir -p "$cache"

# Ubuntu's keys are in no package of Debian: the one of Ubuntu, known by its digest.
ubuntu_keys() {
    [ -e "$cache/ubuntu-archive-keyring.gpg" ] && return
    curl -fsS --max-time 60 -o "$cache/ubuntu-keyring.deb" \
        https://archive.ubuntu.com/ubuntu/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb || return 1
    echo "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8  $cache/ubuntu-keyring.deb" | sha256sum -c --quiet || return 1
    dpkg-deb --fsys-tarfile "$cache/ubuntu-keyring.deb" | tar -xO ./usr/share/keyrings/ubuntu-archive-keyring.gpg >"$cache/keys.part"
    mv "$cache/keys.part" "$cache/ubuntu-archive-keyring.gpg"
}

# Where this machine gets its own packages from, if it is a Debian.
debian_mirror() {
    found=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
        sed -n 's/^URIs: *\([^ ]*\/debian\)\/*$/\1/p; s/^deb \(\[[^]]*\] \)*\(http[^ ]*\/debian\)\/* .*/\2/p' | head -1)
    echo "${found:-http://deb.debian.org/debian}"
}

# make_base DIR
make_base() {
    script=
    case $release in
    noble | jammy | plucky | questing | resolute)
        ubuntu_keys || return 1
        mirror=http://archive.ubuntu.com/ubuntu components=main,universe keys=$cache/ubuntu-archive-keyring.gpg
        # an older debootstrap does not know the name; all of Ubuntu's have one script
        [ -e "/usr/share/debootstrap/scripts/$release" ] || script=/usr/share/debootstrap/scripts/gutsy
        ;;
    *) mirror=$(debian_mirror) components=main keys=/usr/share/keyrings/debian-archive-keyring.gpg ;;
    esac
    [ -e "$keys" ] || sh "$here/tools/deps.sh" --programs no-such-program debian-archive-keyring >&2
    # shellcheck disable=SC2086
    debootstrap --variant=minbase --components=$components --keyring="$keys" --include=systemd,systemd-sysv,dbus,ca-certificates,make \
        "$release" "$1" "$mirror" $script >"$cache/$release.log" 2>&1
}

bare() { systemd-nspawn -q --timezone=off --register=no --keep-unit --suppress-sync=yes "$@" </dev/null; }

# add_packages DIR
add_packages() {
    # shellcheck disable=SC2086
    bare -D "$1" --pipe --setenv=DEBIAN_FRONTEND=noninteractive sh -c \
        "apt-get update -qq && apt-get install -y -qq --no-install-recommends $with && apt-get clean" >"$cache/$release.log" 2>&1
}

# kept NAME HOW [FROM]: the root of that name, made by HOW if it is not there; it gets its name when it is whole
kept() {
    [ -e "$cache/$1/etc" ] && return
    echo "making the root $1" >&2
    rm -rf "$cache/$1.part"
    [ -z "${3:-}" ] || cp -a --reflink=auto "$cache/$3" "$cache/$1.part"
    if ! $2 "$cache/$1.part"; then
        tail -5 "$cache/$release.log" >&2
        skip "no root of $release can be made here, see $cache/$release.log"
    fi
    mv "$cache/$1.part" "$cache/$1"
}

exec 9>"$cache/lock"
flock 9
kept "$release" make_base
name=$release
if [ -n "$with" ]; then
    with=$(printf '%s\n' $with | sort -u | tr '\n' ' ')
    name=$release-$(printf %s "$with" | sha256sum | head -c 12)
    kept "$name" add_packages "$release"
fi
root=$(mktemp -d "$cache/run.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
trap 'exit 130' INT TERM
cp -a --reflink=auto "$cache/$name/." "$root/"
flock -u 9

mkdir -p "$root/root/metergate"
if git -C "$here" rev-parse --git-dir >/dev/null 2>&1; then
    (cd "$here" && git ls-files -coz --exclude-standard | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh |
        tar -c --no-recursion --null -T -)
else
    tar -C "$here" -c --exclude=./build .
fi | tar -x -C "$root/root/metergate" --no-same-owner
for put in $puts; do cp -a "$put" "$root/root/"; done

set -- -D "$root" "--machine=metergate-$$" --chdir=/root/metergate
if [ -n "$build" ]; then
    mkdir -p "$root/root/metergate/build"
    set -- "$@" "--bind=$build:/root/metergate/build"
fi

boot() {
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    unit=$root/etc/systemd/system/root-command.service
    cat >"$unit" <<'UNIT'
[Unit]
After=basic.target

[Service]
Type=oneshot
WorkingDirectory=/root/metergate
Environment=HOME=/root DEBIAN_FRONTEND=noninteractive
StandardOutput=append:/root/command.out
StandardError=append:/root/command.out
ExecStart=/bin/sh /root/command.sh
ExecStopPost=/bin/sh -c 'echo "$EXIT_STATUS" >/root/command.rc; systemctl --no-block poweroff'
UNIT
    ln -s ../root-command.service "$root/etc/systemd/system/multi-user.target.wants/"
    printf '%s\n' "$command" >"$root/root/command.sh"
    : >"$root/root/command.out"
    [ -n "$network" ] || set -- "$@" --private-network
    bare "$@" --console=pipe -b >"$cache/boot.log" 2>&1 &
    tail --pid=$! -s 0.2 -n +1 -f "$root/root/command.out"
    wait $! || true
    if [ ! -e "$root/root/command.rc" ]; then
        tail -20 "$cache/boot.log" >&2
        echo "systemd did not come up in the root, see $cache/boot.log" >&2
        return 70
    fi
    return "$(cat "$root/root/command.rc")"
}

rc=0
if [ -n "$boot" ]; then
    boot "$@" || rc=$?
else
    bare "$@" --pipe --setenv=DEBIAN_FRONTEND=noninteractive --setenv=HOME=/root sh -c "$command" || rc=$?
fi
for take in $takes; do
    mkdir -p "${take#*>}"
    # the pattern is the root's
    for found in "$root"${take%%>*}; do [ ! -e "$found" ] || cp -a "$found" "${take#*>}/"; done
done
exit $rc
