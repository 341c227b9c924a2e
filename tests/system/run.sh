#!/bin/sh
# Installs Metergate on this machine and uses it as systemd's service: start, answer, reload with a good and a bad file, restart, a
# crash, a key through a credential, the socket unit, a user's own, and away again. For a machine that may be changed (a container): root,
# systemd as the first process, and METERGATE_TEST_SYSTEM=yes. It must have no metergate.service of its own.
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
pid() { systemctl show -p MainPID --value metergate; }

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
[ "$(systemctl is-active metergate)" = active ] || failed "is active"
[ "$(metergate status --json | head -c 1)" = "{" ] || failed "metergate status"
systemctl show -p StatusText --value metergate | grep -q 'listening on .*127.0.0.1:4283' || failed "what systemctl status says"
ok "started by systemctl enable --now, and ready when that returned"
[ "$(ps -o user= -p "$(pid)")" != root ] || failed "runs as somebody else than root"
[ "$(grep -c 'Max core file size *0 *0' "/proc/$(pid)/limits")" = 1 ] || failed "no core dumps"
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
systemctl show -p StatusText --value metergate | grep -q 'refused' || failed "what systemctl status says of it"
[ "$(systemctl is-active metergate)" = active ] || failed "still active"
metergate reload 2>/dev/null && failed "metergate reload tells" || [ $? -eq 78 ] || failed "its exit status"
ok "metergate reload has status 78"

before=$(pid)
systemctl restart metergate 2>/dev/null && failed "a restart with a bad file" || true
[ "$(systemctl show -p ExecMainStatus --value metergate)" = 78 ] || failed "exit status of a bad file"
ok "a start with a bad file fails with 78, and is not tried for ever"
printf 'upstreams:\n  openai: {base_url: "http://127.0.0.1:9/v1", api_key: {credential: openai}}\nmodels:\n  gpt-4o: {tpm: 20000}\n' >$config
mkdir -p /etc/systemd/system/metergate.service.d
umask 077
echo sk-of-the-service >/etc/metergate/openai.key
printf '[Service]\nLoadCredential=openai:/etc/metergate/openai.key\n' >/etc/systemd/system/metergate.service.d/key.conf
systemctl daemon-reload
systemctl reset-failed metergate
systemctl restart metergate || failed "restart with a credential"
[ "$(pid)" != "$before" ] && ok "restarted, with a key that systemd hands over"
journalctl --no-pager -o cat -u metergate | grep -q sk-of-the-service && failed "the key is in the log" || true
before=$(pid)
kill -9 "$before"
wait_for "kill -9: systemd starts it again" '[ "$(systemctl is-active metergate)" = active ] && [ "$(pid)" != "$before" ] && status'
build/release/bin/metergate-simulator --listen 127.0.0.1:24284 >/tmp/metergate-simulator &
simulator=$!
wait_for "the simulator" 'grep -q listening /tmp/metergate-simulator'
printf 'upstreams:\n  openai: {base_url: "http://127.0.0.1:24284/v1", api_key: {credential: openai}}\n' >$config
systemctl reload metergate
wait_for "another upstream" 'status | grep -q "\"openai\"" && call && grep -q "^HTTP/1.1 200" /tmp/metergate-answer'
kill $simulator
systemctl stop metergate
[ "$(systemctl show -p Result --value metergate)" = success ] || failed "a clean stop"
ok "stopped"
learned=/var/lib/private/metergate/learned.jsonl
grep -q '"model":"gpt-4o"' $learned || failed "what was learned is in the state directory"
[ "$(stat -c %a $learned)" = 600 ] || failed "for the daemon alone"
log_has state_dir && failed "a complaint about state_dir" || true
ok "kept what it learned, for itself alone"

systemctl start metergate.socket || failed "the socket unit"
status >/dev/null || failed "the first connection starts it"
[ "$(systemctl is-active metergate)" = active ] || failed "active by its socket"
ok "started by the first connection to its socket"
systemctl stop metergate.socket metergate

if [ -e /usr/lib/systemd/systemd ] && useradd -m metergate-tester 2>/dev/null; then
    systemctl start "user@$(id -u metergate-tester)" && XDG_RUNTIME_DIR=/run/user/$(id -u metergate-tester) && export XDG_RUNTIME_DIR
    runuser -u metergate-tester -- mkdir -p /home/metergate-tester/.config/metergate
    echo 'models: {gpt-4o: {tpm: 10000}}' | runuser -u metergate-tester -- tee /home/metergate-tester/.config/metergate/metergate.yaml >/dev/null
    if runuser -u metergate-tester -- systemctl --user start metergate 2>/tmp/metergate-user; then
        status >/dev/null || failed "a user's own"
        [ "$(ps -o user= -C metergated)" = metergate-tester ] || [ "$(ps -o uid= -C metergated | tr -d ' ')" = "$(id -u metergate-tester)" ] ||
            failed "whose it is"
        ok "a user's own"
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
