#!/bin/sh
# Installs Metergate on this machine and uses it as systemd's service: the sandbox, start, answer, reload with a good and a bad file, the
# journal, restart, a crash, a loop that stands still, keys through credentials, a stop that takes its time, restarts under load with the
# socket unit, a user's own, and away again. For a machine that may be changed: root, systemd as the first process, curl, and
# METERGATE_TEST_SYSTEM=yes; `make test-system` makes one. It must have no metergate.service of its own.
set -eu
if [ "${METERGATE_TEST_SYSTEM:-}" != yes ]; then
    echo "This installs a service on this very machine. If it may: METERGATE_TEST_SYSTEM=yes make test-system" >&2
    exit 64
fi
[ "$(id -u)" = 0 ] && [ -d /run/systemd/system ] || { echo "needs root and systemd" >&2; exit 69; }

config=/etc/metergate/metergate.yaml
failed() {
    echo "FAILED $1" >&2
    systemctl status --no-pager metergate >&2 || true
    journalctl --no-pager -u metergate >&2 || true
    exit 1
}
ok() { echo "ok     $1"; }
# until it comes true; the service manager has no event for what a daemon does after it was told
wait_for() {
    n=0
    until eval "$2" >/dev/null 2>&1; do
        n=$((n + 1))
        [ $n -lt 100 ] || failed "$1"
        sleep 0.1
    done
    ok "$1"
}
log_has() { journalctl --no-pager -o cat -u metergate | grep -q -- "$1"; }
status() { metergate status --json; }
show() { systemctl show -p "$1" --value metergate; }
pid() { show MainPID; }
active() { [ "$(systemctl is-active metergate)" = active ]; }
# what systemd shows; the daemon tells it at most once a second
status_text() { show StatusText; }
# drop_in TEXT: settings of the unit beside its own, in place of those before
drop_in() {
    mkdir -p /etc/systemd/system/metergate.service.d
    printf '[Service]\n%b\n' "$1" >/etc/systemd/system/metergate.service.d/test.conf
    systemctl daemon-reload
}
simulator=http://127.0.0.1:24284
configure() { printf "upstreams:\n  openai: {base_url: \"$simulator/v1\", counting: actual${2:-}}\n$1\n" >$config; }
sim() { curl -fsS --max-time 20 "$simulator/_sim/$1" ${2:+-X POST}; }

body='{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}'
call() { # the answer is in /tmp/metergate-answer
    bash -c 'exec 3<>/dev/tcp/127.0.0.1/4283
    printf "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" ${#0} "$0" >&3
    cat <&3' "$body" >/tmp/metergate-answer
}

make install >/dev/null
systemctl daemon-reload
man -w metergated metergate.yaml >/dev/null 2>&1 || [ -e /usr/local/share/man/man8/metergated.8 ] || failed "man pages"

# the sample, as it was installed
systemctl enable --now metergate >/dev/null 2>&1 || failed "start"
active || failed "is active"
[ "$(metergate status --json | head -c 1)" = "{" ] || failed "metergate status"
status_text | grep -q '^holding 0, in flight 0; listening on .*127.0.0.1:4283' || failed "what systemctl status says: $(status_text)"
ok "started by systemctl enable --now, and ready when that returned"

# ---- the sandbox, as the kernel has it ----
exposure=$(systemd-analyze security --no-pager metergate | sed -n 's/.*exposure level for metergate.service: \([0-9.]*\).*/\1/p')
echo "$exposure" | awk '{exit !($1 > 0 && $1 <= 1.5)}' || failed "an exposure of at most 1.5: $exposure"
ok "exposure $exposure (systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'))"
[ "$(ps -o user= -p "$(pid)")" != root ] || failed "runs as somebody else than root"
[ "$(grep -c 'Max core file size *0 *0' "/proc/$(pid)/limits")" = 1 ] || failed "no core dumps"
has() { grep -q "$1" "/proc/$(pid)/status" || failed "$2: $(grep "^${1%%:*}" "/proc/$(pid)/status")"; }
has 'Seccomp:[^0-9]*2' "a filter of system calls"
has 'NoNewPrivs:[^0-9]*1' "no new privileges"
has 'CapBnd:[^0-9]*0*$' "no capabilities"
inside() { nsenter -t "$(pid)" -m -- "$@"; }
if inside /usr/bin/id >/dev/null 2>&1; then failed "no program can be started where it is"; fi
[ "$(show MemorySwapMax)" = 0 ] || failed "no swap"
swap=/sys/fs/cgroup$(show ControlGroup)/memory.swap.max
[ ! -e "$swap" ] || [ "$(cat "$swap")" = 0 ] || failed "no swap, as the kernel has it"
[ "$(stat -c %a /var/lib/private/metergate)" = 700 ] || failed "the state directory is its own"
ok "no capabilities, no programs, no swap, no core dumps, filtered system calls"

# ---- who calls ----
# the kernel tells who calls, in spite of all that is forbidden
printf 'upstreams:\n  openai: {base_url: "http://127.0.0.1:9/v1", retry: {attempts: 1}}\nmodels:\n  gpt-4o: {tpm: 30000}\n' >$config
systemctl reload metergate
wait_for "reloaded with a good file" 'log_has "reload: done"'
call || failed "a call"
grep -q '^HTTP/1.1 502 ' /tmp/metergate-answer || failed "a call to a provider that is not there: $(head -1 /tmp/metergate-answer)"
grep -qi '^Metergate-Client: *root' /tmp/metergate-answer || status | grep -q '"name": *"root[".]' || failed "who calls"
ok "answers, and sees which local user calls"
# and which unit: nobody configured anything
scripts=$(mktemp -d)
chmod 755 "$scripts"
cat >"$scripts/call" <<CALL
exec 3<>/dev/tcp/127.0.0.1/4283
printf 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${#body}\r\n\r\n%s' '$body' >&3
cat <&3
CALL
for unit in metergate-one metergate-two; do
    systemd-run --quiet --wait --uid=nobody --unit=$unit bash "$scripts/call" || failed "systemd-run --unit=$unit"
    wait_for "a call of unit $unit is client nobody.$unit" "status | grep -q '\"name\": *\"nobody.$unit\"'"
done
systemd-run --quiet --wait --uid=nobody bash "$scripts/call" || failed "systemd-run"
wait_for "and so is one that systemd-run named" "status | grep -q '\"name\": *\"nobody.run-[a-z0-9-]*\"'"
rm -rf "$scripts"
status | grep -q '"max": *30000' || failed "the limit of the good file"

printf 'models:\n  gpt-4o: {tpn: 5}\n' >$config
systemctl reload metergate || true
wait_for "a bad file is named by line and column" 'log_has "$config:2:12: unknown key"'
wait_for "and the running configuration stays" 'status | grep -q "\"max\": *30000"'
status_text | grep -q 'refused' || failed "what systemctl status says of it"
active || failed "still active"
# by its level, too: what is wrong, and not what is not
errors() { journalctl --no-pager -o cat -p err -u metergate; }
errors | grep -q 'unknown key' || failed "journalctl -p err has the error"
if errors | grep -q ' info '; then failed "journalctl -p err has errors only"; fi
if log_has '^<[0-9]>'; then failed "the journal takes the levels off"; fi
ok "journalctl -p err has what is wrong, and nothing else"
metergate reload 2>/dev/null && failed "metergate reload tells" || [ $? -eq 78 ] || failed "its exit status"
ok "metergate reload has status 78"


before=$(pid)
systemctl restart metergate 2>/dev/null && failed "a restart with a bad file" || true
[ "$(show ExecMainStatus)" = 78 ] || failed "exit status of a bad file"
[ "$(errors | grep -c 'unknown key')" -ge 2 ] || failed "journalctl -p err has what a start says, too"
ok "a start with a bad file fails with 78, and is not tried for ever"

# ---- keys ----
umask 077
echo sk-of-the-service >/etc/metergate/openai.key
configure 'models:\n  gpt-4o: {tpm: 20000}\nlog: {format: json}' ', api_key: {credential: openai}'
drop_in 'LoadCredential=openai:/etc/metergate/openai.key'
systemctl reset-failed metergate
systemctl restart metergate || failed "restart with a credential"
[ "$(pid)" != "$before" ] && ok "restarted, with a key that systemd hands over"
# as docs/operations.md has it: without them the file of a service cannot be checked by hand
if metergated --test --config $config 2>/dev/null; then failed "a shell has no credentials"; fi
CREDENTIALS_DIRECTORY=/run/credentials/metergate.service metergated --test --config $config >/dev/null ||
    failed "metergated --test with the credentials of the running service"
ok "metergated --test with the credentials of the running service"
journalctl --no-pager -o cat _COMM=metergated | tail -1 | grep -q '^{"time":".*","level":"info","message":".*"}$' || failed "a journal of JSON lines"
errors | grep -q '"level":"info"' && failed "journalctl -p err of JSON lines" || true
ok "the journal has JSON lines, by their level"
if printf sk-of-the-service | systemd-creds encrypt --name=openai --with-key=host - /etc/metergate/openai.cred 2>/tmp/metergate-creds; then
    rm /etc/metergate/openai.key
    drop_in 'LoadCredential=\nLoadCredentialEncrypted=openai:/etc/metergate/openai.cred'
    systemctl restart metergate || failed "restart with an encrypted credential"
    ok "with a key that is encrypted on disk"
else
    echo "skip   an encrypted key: $(head -1 /tmp/metergate-creds)"
fi
journalctl --no-pager -o cat -u metergate | grep -q sk-of-the-service && failed "the key is in the log" || true

# ---- what dies, and what stands still ----
before=$(pid)
kill -9 "$before"
wait_for "kill -9: systemd starts it again" 'active && [ "$(pid)" != "$before" ] && status'
build/release/bin/metergate-simulator --listen 127.0.0.1:24284 >/tmp/metergate-simulator &
simulator_pid=$!
wait_for "the simulator" 'grep -q listening /tmp/metergate-simulator'
call && grep -q "^HTTP/1.1 200" /tmp/metergate-answer || failed "a call after the crash"
cat /etc/systemd/system/metergate.service.d/test.conf >/tmp/metergate-credential.conf
drop_in "$(sed 1d /tmp/metergate-credential.conf)\\nWatchdogSec=2"
systemctl restart metergate
before=$(pid)
[ "$(show WatchdogUSec)" = 2s ] || failed "the watchdog of this test"
fed=$(show WatchdogTimestampMonotonic)
wait_for "the watchdog is fed" '[ "$(show WatchdogTimestampMonotonic)" != "$fed" ]'
kill -STOP "$before"
wait_for "a loop that stands still is ended by the watchdog, and started again" 'active && [ "$(pid)" != "$before" ] && status'
log_has 'Watchdog timeout' || failed "the journal says that it was the watchdog"
drop_in "$(sed 1d /tmp/metergate-credential.conf)"

# ---- stops ----
# a call that the provider keeps until it is told to answer
slow='{"model":"gpt-4o","messages":[{"role":"user","content":"hello [[fault=hold]]"}]}'
hold() {
    curl -sS -o /tmp/metergate-held -D /tmp/metergate-held-head --max-time 60 -H 'Content-Type: application/json' -d "$slow" \
        http://127.0.0.1:4283/v1/chat/completions &
    holder=$!
    sim 'wait?held=1' >/dev/null || failed "a call that the provider keeps"
}
configure 'drain: 30s\nmodels:\n  gpt-4o: {concurrent: 1}'
systemctl restart metergate
hold
curl -sS -o /dev/null --max-time 60 -H 'Content-Type: application/json' -d "$body" http://127.0.0.1:4283/v1/chat/completions &
wait_for "systemctl status says what it does" '[ "$(status_text | cut -d";" -f1)" = "holding 1, in flight 1" ]'
drop_in 'TimeoutStopSec=1'
systemctl stop --no-block metergate
wait_for "and that it drains" '[ "$(status_text)" = "draining: 1 call in flight" ]'
since=$(date +%s)
wait_for "a drain that is longer than TimeoutStopSec goes on" '[ $(($(date +%s) - since)) -ge 4 ]'
[ "$(systemctl is-active metergate)" = deactivating ] || failed "it was cut off: $(show Result)"
sim release yes >/dev/null
wait $holder || failed "the call in flight was cut"
grep -q '^HTTP/1.1 200 ' /tmp/metergate-held-head || failed "the call in flight: $(head -1 /tmp/metergate-held-head)"
wait_for "and ends with its last call" '[ "$(systemctl is-active metergate)" = inactive ] && [ "$(show Result)" = success ]'
configure 'drain: 1s\nmodels:\n  gpt-4o: {concurrent: 1}'
systemctl start metergate
hold
systemctl stop metergate
wait $holder || true
grep -q '^HTTP/1.1 503 ' /tmp/metergate-held-head && grep -qi '^Metergate-Refused: draining' /tmp/metergate-held-head ||
    failed "a call that outlasts the drain: $(head -1 /tmp/metergate-held-head)"
[ "$(show Result)" = success ] || failed "a clean stop when the drain is over"
ok "a call that outlasts the drain is told to come again"
sim release yes >/dev/null

learned=/var/lib/private/metergate/learned.jsonl
grep -q '"model":"gpt-4o"' $learned || failed "what was learned is in the state directory"
[ "$(stat -c %a $learned)" = 600 ] || failed "for the daemon alone"
log_has state_dir && failed "a complaint about state_dir" || true
ok "kept what it learned, for itself alone"

# ---- the socket unit ----
rm -rf /etc/systemd/system/metergate.service.d
systemctl daemon-reload
configure 'models:\n  gpt-4o: {rpm: 100000}'
systemctl start metergate.socket || failed "the socket unit"
status >/dev/null || failed "the first connection starts it"
active || failed "active by its socket"
ok "started by the first connection to its socket"
# each call on a connection of its own; a line is curl's status, that of the answer, and why
calls=$(mktemp -d)
for n in 1 2 3 4 5 6; do
    sh tests/system/load.sh "$calls" "$n" "$body" &
done
answered() { cat "$calls"/*.calls 2>/dev/null | grep -c '^0 200 ' || true; }
restarts=0 seen=0
while [ $restarts -lt 5 ]; do
    wait_for "calls are answered" "[ \$(answered) -ge $((seen + 100)) ]" >/dev/null
    systemctl restart metergate || failed "a restart under load"
    restarts=$((restarts + 1)) seen=$(answered)
done
wait_for "calls are answered after the last restart" "[ \$(answered) -ge $((seen + 100)) ]" >/dev/null
touch "$calls/stop"
wait_for "the callers end" '[ "$(ls "$calls"/*.done | wc -l)" = 6 ]' >/dev/null
wrong=$(cat "$calls"/*.calls | grep -v '^0 200 ' | grep -v '^0 503 draining' || true)
[ -z "$wrong" ] || failed "5 restarts under load: $(echo "$wrong" | sort | uniq -c | head -5)"
ok "5 restarts under load: $(answered) calls answered, $(cat "$calls"/*.calls | grep -c '^0 503 draining' || true) told to come again, none refused or reset"
rm -rf "$calls"
cp $config /tmp/metergate-good.yaml
echo 'models: 7' >$config
systemctl restart metergate 2>/dev/null && failed "a restart with a bad file, by its socket" || true
curl -s -o /dev/null --max-time 5 http://127.0.0.1:4283/healthz || true
cp /tmp/metergate-good.yaml $config
systemctl reset-failed 'metergate.*' || true
systemctl start metergate.socket || failed "the socket unit after a bad file"
curl -fsS --max-time 20 -o /dev/null http://127.0.0.1:4283/healthz || failed "answers by its socket after a bad file"
ok "a bad file, mended: its socket starts it again"
systemctl stop metergate.socket metergate
kill $simulator_pid

if [ -e /usr/lib/systemd/systemd ] && useradd -m metergate-tester 2>/dev/null; then
    systemctl start "user@$(id -u metergate-tester)" && XDG_RUNTIME_DIR=/run/user/$(id -u metergate-tester) && export XDG_RUNTIME_DIR
    runuser -u metergate-tester -- mkdir -p /home/metergate-tester/.config/metergate
    echo 'models: {gpt-4o: {tpm: 10000}}' | runuser -u metergate-tester -- tee /home/metergate-tester/.config/metergate/metergate.yaml >/dev/null
    if runuser -u metergate-tester -- systemctl --user start metergate 2>/tmp/metergate-user; then
        status >/dev/null || failed "a user's own"
        [ "$(ps -o user= -C metergated)" = metergate-tester ] || [ "$(ps -o uid= -C metergated | tr -d ' ')" = "$(id -u metergate-tester)" ] ||
            failed "whose it is"
        log=$(runuser -u metergate-tester -- systemctl --user show -p StatusText --value metergate)
        echo "$log" | grep -q '^holding 0, in flight 0; listening on ' || failed "what systemctl --user status says: $log"
        kept=/home/metergate-tester/.local/state/metergate
        [ "$(stat -c '%a %U' $kept)" = "700 metergate-tester" ] && [ -e $kept/ledger.db ] || failed "where a user's state is"
        [ ! -e /home/metergate-tester/.config/metergate/ledger.db ] || failed "a ledger in the configuration's directory"
        ok "a user's own, with its state in ~/.local/state"
        runuser -u metergate-tester -- systemctl --user stop metergate
    else
        echo "skip   a user's own: $(head -1 /tmp/metergate-user)"
    fi
    systemctl stop "user@$(id -u metergate-tester)" || true
    userdel -r metergate-tester 2>/dev/null || true
fi

systemctl disable metergate >/dev/null 2>&1
rm -rf /etc/systemd/system/metergate.service.d
make uninstall >/dev/null
systemctl daemon-reload
[ -e $config ] || failed "the configuration stays"
[ ! -e /usr/local/bin/metergated ] && [ ! -e /usr/local/lib/systemd/system/metergate.service ] || failed "uninstall"
ok "uninstalled; the configuration stays"
echo "all good"
