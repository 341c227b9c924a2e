#!/bin/bash
# What Prometheus' own tool says of what we give it: /metrics of a daemon that has made some calls (promtool check metrics), the alert
# rules and their tests, and every expression of the dashboard. $BIN has the programs. Without promtool, Debian's is unpacked under
# build/promtool, nothing is installed; where that does not work either, this says so and is no failure.
set -eu
BIN=${BIN:-build/release/bin}
docs=docs/monitoring
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
failed() {
    echo "FAILED $1" >&2
    cat "$dir"/*.log >&2 2>/dev/null || true
    exit 1
}
ok() { echo "ok     $1"; }

promtool=$(command -v promtool || echo build/promtool/usr/bin/promtool)
if [ ! -x "$promtool" ]; then
    mkdir -p build/promtool
    (cd build/promtool && apt-get download prometheus && dpkg -x prometheus_*.deb . && rm -f prometheus_*.deb) >"$dir/apt.log" 2>&1 || true
fi
if [ ! -x "$promtool" ]; then
    echo "skip   there is no promtool, and apt-get download prometheus gives none:"
    sed 's/^/       /' "$dir/apt.log"
    exit 0
fi

# waits until a program has written the line that says where it listens
address_of() {
    n=0
    until grep -qE 'listening on .*127\.0\.0\.1:[0-9]+' "$1"; do
        n=$((n + 1))
        [ $n -lt 200 ] || failed "$1: it does not listen"
        sleep 0.05
    done
    grep -oE '127\.0\.0\.1:[0-9]+' "$1" | head -n 1
}
# METHOD TARGET BODY: the answer's body
ask() {
    bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0#*:}"
        printf "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" "$1" "$2" ${#3} "$3" >&3
        cat <&3' "$daemon" "$1" "$2" "$3" | sed '1,/^\r$/d'
}

"$BIN/metergate-simulator" --listen 127.0.0.1:0 >"$dir/simulator.log" 2>&1 &
pids="$pids $!"
simulator=$(address_of "$dir/simulator.log")
cat >"$dir/metergate.yaml" <<YAML
listen: [127.0.0.1:0]
state_dir: $dir/state
upstreams:
  openai: {dialect: openai, base_url: "http://$simulator/v1"}
  anthropic: {dialect: anthropic, base_url: "http://$simulator"}
  nobody: {dialect: openai, base_url: "http://127.0.0.1:9/v1", retry: {attempts: 1}}
models:
  gpt-4o: {tpm: 30000, rpm: 100, usd_per_day: 5}
  "*": {learn: false}
clients:
  nightly: {priority: low, usd_per_month: 20}
YAML
"$BIN/metergated" --config "$dir/metergate.yaml" >"$dir/metergated.log" 2>&1 &
pids="$pids $!"
daemon=$(address_of "$dir/metergated.log")

chat() { printf '{"model":"%s","messages":[{"role":"user","content":"%s"}]}' "$1" "$2"; }
ask POST /@nightly/v1/chat/completions "$(chat gpt-4o hello)" >/dev/null
ask POST /v1/chat/completions "$(chat gpt-4o-mini 'hello [[cached=3]] [[reasoning=2]]')" >/dev/null
ask POST /v1/chat/completions "$(chat 'a \"name\" \\ of\nmany' hello)" >/dev/null
ask POST /v1/chat/completions "$(chat gpt-4o 'hello [[fault=status:500]]')" >/dev/null
ask POST /nobody/v1/chat/completions "$(chat gpt-4o hello)" >/dev/null
ask GET /v1/models '' >/dev/null
ask GET /metrics '' >"$dir/metrics.txt"
grep -q '^metergate_calls_total 6$' "$dir/metrics.txt" || failed "six calls"
said=$("$promtool" check metrics <"$dir/metrics.txt" 2>&1) || failed "promtool check metrics: $said"
[ -z "$said" ] || failed "promtool check metrics: $said"
ok "promtool check metrics: $(grep -c '^# TYPE' "$dir/metrics.txt") families, $(grep -vc '^#' "$dir/metrics.txt") series, not a word"

"$promtool" check rules $docs/alerts.yml >"$dir/rules.log" 2>&1 || failed "promtool check rules"
ok "promtool check rules $docs/alerts.yml: $(grep -c '  - alert:' $docs/alerts.yml) rules"
for alert in $(sed -n 's/^ *- alert: //p' $docs/alerts.yml); do
    [ "$(grep -c "name: $alert " $docs/alerts_test.yml)" -ge 2 ] || failed "$alert is not tested both ways"
done
"$promtool" test rules $docs/alerts_test.yml >"$dir/tests.log" 2>&1 || failed "promtool test rules"
ok "promtool test rules $docs/alerts_test.yml: $(grep -c '  - name:' $docs/alerts_test.yml) tests"

# the dashboard's expressions, its variables filled in, as rules
{
    printf 'groups:\n- name: dashboard\n  rules:\n'
    sed -n 's/^ *"expr": "\(.*\)",\{0,1\}$/\1/p' $docs/grafana.json | sed 's/\\"/"/g; s/\$__rate_interval/5m/g; s/\$[a-z]*/.*/g' |
        sed "s/'/''/g; s/.*/  - {record: dashboard, expr: '&'}/" | awk '{ sub("record: dashboard", "record: dashboard" NR); print }'
} >"$dir/dashboard.yml"
"$promtool" check rules "$dir/dashboard.yml" >"$dir/dashboard.log" 2>&1 || failed "the dashboard's expressions"
[ "$(grep -c 'record:' "$dir/dashboard.yml")" = "$(grep -c '"expr"' $docs/grafana.json)" ] || failed "an expression was not read"
ok "$docs/grafana.json: $(grep -c 'record:' "$dir/dashboard.yml") expressions"
