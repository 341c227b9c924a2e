#!/bin/sh
# run.sh [NAME...]: runs tests/bench/bench_NAME, or all of them, and says first on which machine. `make bench` builds them.
set -eu
build=${BUILD:-build/release}
sh tools/deps.sh --programs /usr/sbin/nginx nginx-light
export MG_BIN="$build/bin" METERGATE_BENCH_KEY=sk-bench-0123456789abcdef0123456789
[ $# -gt 0 ] || set -- tokens gate ledger start identity calls streams events idle held status packing

# On one core: ours by itself, then ours and others on texts of this machine.
tokens() {
    sh tests/bench/corpora.sh build/bench-texts
    if ! command -v npm >/dev/null || ! npm install --silent --no-save --prefix build/peers tiktoken@1.0.22 gpt-tokenizer@4.0.0 tiktoken-node@0.0.7; then
        echo "without Node.js and npm there is nobody to compare with"
        taskset -c 0 "$build/tests/bench/bench_tokens" build/bench-texts/*.txt
        return
    fi
    taskset -c 0 "$build/tests/bench/bench_tokens"
    taskset -c 0 node tests/bench/peers.mjs "$build/tests/bench/bench_tokens" build/peers build/bench-texts/*.txt
}

echo "$(date -u '+%Y-%m-%d %H:%M') UTC, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores," \
    "Linux $(uname -r), load $(cut -d' ' -f1 /proc/loadavg)"
echo "$("$MG_BIN/metergated" -V) ($(git describe --always --dirty 2>/dev/null || echo "no git"))," \
    "$(/usr/sbin/nginx -v 2>&1), libmicrohttpd $(pkg-config --modversion libmicrohttpd), libcurl $(pkg-config --modversion libcurl)"
for name; do
    echo
    echo "# $name"
    if [ "$name" = tokens ]; then
        tokens
    else
        "$build/tests/bench/bench_$name"
    fi
done
