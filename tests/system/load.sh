#!/bin/sh
# load.sh DIR NAME BODY: calls, one after the other, each on a connection of its own, until DIR/stop is there. DIR/NAME.calls has a line of each:
# curl's exit status, the status of the answer, and of a refusal the reason, if it says when to come again.
set -u
dir=$1 name=$2 body=$3
while [ ! -e "$dir/stop" ]; do
    said=$(curl -s -o /dev/null -D "$dir/$name.head" --max-time 60 -w '%{exitcode} %{http_code} %{errormsg}' -H 'Content-Type: application/json' \
        -H 'Connection: close' -d "$body" http://127.0.0.1:4283/v1/chat/completions)
    case $said in
    "0 503 "*)
        reason=$(sed -n 's/\r$//; s/^Metergate-Refused: //p' "$dir/$name.head")
        grep -qi '^Retry-After: [0-9]' "$dir/$name.head" && said="0 503 $reason"
        ;;
    esac
    echo "$said" >>"$dir/$name.calls"
done
touch "$dir/$name.done"
