#!/bin/sh
# lifecycle.sh FIRST.deb SECOND.deb: a package's life on this very machine, as systemd's service: installed, used, upgraded with a call
# held, removed, installed again, purged. For a root made for it (run.sh), with metergate-simulator in /root.
set -eu
first=$1 second=$2
config=/etc/metergate/metergate.yaml
state=/var/lib/private/metergate

failed() {
    echo "FAILED $1" >&2
    systemctl status --no-pager metergate >&2 || true
    journalctl --no-pager -u metergate >&2 || true
    exit 1
}
ok() { echo "ok     $1"; }
is() { [ "$2" = "$3" ] || failed "$1: $2, not $3"; }
# until it comes true; nothing tells a shell script of it
wait_for() {
    n=0
    until eval "$2" >/dev/null 2>&1; do
        n=$((n + 1))
        [ $n -lt 300 ] || failed "$1"
        sleep 0.1
    done
}
apt() { DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends "$@" </dev/null >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; failed "apt-get $*"; }; }
unit() { systemctl show -p "$1" --value metergate; }
status() { metergate status --json | tr -d ' \n'; }
version() { dpkg-query -W -f '${Version}' metergate; }
rows() { metergate calls --json | grep -c '"id"' || true; }
body='{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}'
call() { curl -sS -i --max-time 60 -H 'Content-Type: application/json' -d "$body" http://127.0.0.1:4283/v1/chat/completions; }
# what is left of it outside of this test's own files and the package manager's records of the past
traces() {
    find / -xdev \( -path /root -o -path /proc -o -path /sys -o -path /run -o -path /var/log -o -path /var/cache/apt -o -path /tmp \) -prune \
        -o -name '*metergate*' -print
}

# ---- installed --------------------------------------------------------------------------------------------------
apt install "$first"
is "enabled" "$(systemctl is-enabled metergate)" enabled
is "active" "$(systemctl is-active metergate)" active
is "as a user of its own" "$(ps -o user= -C metergated | grep -c root)" 0
curl -fsS http://127.0.0.1:4283/healthz >/dev/null || failed "answers"
status | grep -q '"version"' || failed "metergate status"
ok "installed: enabled, started, answers"
is "the socket unit" "$(systemctl is-enabled metergate.socket || true)" disabled
is "a user's own unit" "$(systemctl --global is-enabled metergate.service || true)" disabled
is "the configuration is a conffile" "$(dpkg-query -W -f '${Conffiles}' metergate | awk '{print $1}' | xargs)" $config
[ -e /usr/share/bash-completion/completions/metergate ] && [ -e /usr/lib/systemd/user/metergate.service ] || failed "files"
ok "not enabled: the socket, and a user's own"

# ---- used -------------------------------------------------------------------------------------------------------
/root/metergate-simulator --listen 127.0.0.1:24284 >/tmp/simulator 2>&1 &
simulator=$!
trap 'kill $simulator' EXIT
wait_for "the simulator" 'grep -q listening /tmp/simulator'
cat >$config <<YAML
upstreams:
  openai: {base_url: "http://127.0.0.1:24284/v1"}
models:
  gpt-4o: {rpd: {max: 1, per: 20h}}
headroom: 0%
YAML
cp $config /root/edited.yaml
metergate reload >/dev/null || failed "reload"
call >/tmp/answer || failed "a call"
grep -q '^HTTP/1.1 200' /tmp/answer || failed "a call: $(cat /tmp/answer)"
wait_for "a row in the ledger" '[ "$(rows)" = 1 ]'
row=$(metergate calls --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | head -n 1)
call >/tmp/held &
caller=$!
wait_for "a held call" 'status | grep -q "\"held\":1"'
ok "used: a call is in the ledger, and another one waits for tomorrow"

# ---- upgraded ---------------------------------------------------------------------------------------------------
before=$(unit MainPID)
apt install "$second"
[ "$(version)" != "$(dpkg-deb -f "$first" Version)" ] || failed "another version"
wait $caller || failed "the held call is answered"
grep -q '^HTTP/1.1 503' /tmp/held && grep -qi '^Metergate-Refused: draining' /tmp/held || failed "the held call is told: $(cat /tmp/held)"
[ "$(unit MainPID)" != "$before" ] || failed "started anew"
is "active after the upgrade" "$(systemctl is-active metergate)" active
cmp -s $config /root/edited.yaml || failed "the edited configuration"
[ ! -e $config.dpkg-new ] && [ ! -e $config.dpkg-dist ] || failed "no question about the configuration"
metergate explain "$row" >/dev/null || failed "the row of before"
call >/tmp/held &
caller=$!
wait_for "the window of before" 'status | grep -q "\"held\":1"'
kill $caller
ok "upgraded: started anew, a held call told 503 draining; configuration, ledger and windows as they were"

# ---- removed, and there again -----------------------------------------------------------------------------------
apt remove metergate
is "removed" "$(systemctl is-active metergate || true)" inactive
[ ! -e /usr/bin/metergated ] && [ -z "$(pgrep -x metergated || true)" ] || failed "gone"
cmp -s $config /root/edited.yaml || failed "the configuration stays"
[ -s $state/ledger.db ] || failed "the ledger stays"
ok "removed: configuration and state stay"
apt install "$second"
is "enabled again" "$(systemctl is-enabled metergate)" enabled
metergate explain "$row" >/dev/null || failed "the row is there again"
cmp -s $config /root/edited.yaml || failed "and the configuration"
ok "installed again: all there"

# ---- purged -----------------------------------------------------------------------------------------------------
systemctl enable --now -q metergate.socket 2>/dev/null || { systemctl stop metergate; systemctl enable --now -q metergate.socket; }
echo sk-of-nobody >/etc/metergate/openai.key
apt purge metergate
is "the socket after a purge" "$(systemctl is-active metergate.socket || true)" inactive
is "what is left" "$(traces | xargs)" ""
is "a user left" "$(getent passwd metergate || true)" ""
is "the unit" "$(unit LoadState)" not-found
ok "purged: nothing is left, no file, no unit, no user"
echo "all good"
