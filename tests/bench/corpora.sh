#!/bin/sh
# corpora.sh DIR: collects texts of five kinds out of what this machine has: English prose (manual pages without their markup), code
# (headers), manual pages in Japanese, Chinese, Korean and Russian, JSON, and base64 of noise that is the same everywhere. A kind of
# which there is too little (less than 200 kB) is left out, and said so: the figures are of other texts on other machines, the
# ratios in one run are of the same.
set -eu
dir=${1:?usage: corpora.sh DIR}
mkdir -p "$dir"

plain='s/\\f\[[A-Z]*\]//g; s/\\f([A-Z][A-Z]//g; s/\\f[A-Z]//g; s/\\s[-+]\{0,1\}[0-9]//g; s/\\[|^&:]//g; s/\\-/-/g; s/\\(em/--/g; s/\\(aq/'"'"'/g; s/\\(co/(c)/g; s/\\e/\\/g; s/\\ / /g'

pages() {
    for d; do
        [ -d "$d" ] && find "$d" -type f -name '*.gz'
    done | LC_ALL=C sort | xargs -r zcat 2>/dev/null | grep -v "^[.']" | LC_ALL=C sed "$plain" | iconv -f UTF-8 -t UTF-8 -c
}

keep() { # NAME BYTES: of standard input
    head -c "$2" | iconv -f UTF-8 -t UTF-8 -c >"$dir/$1.txt" || true
    if [ "$(wc -c <"$dir/$1.txt")" -lt 200000 ]; then
        rm -f "$dir/$1.txt"
        echo "corpora: no text of the kind $1 on this machine" >&2
    fi
}

man=/usr/share/man
pages $man/man1 $man/man8 $man/man5 $man/man7 | keep prose 5000000
find /usr/include -type f -name '*.h' 2>/dev/null | LC_ALL=C sort | awk 'NR % 7 == 0' | xargs -r cat 2>/dev/null | keep code 5000000
pages $man/ja $man/zh_CN $man/zh_TW $man/ko $man/ru | keep cjk 5000000
find /usr/share /usr/lib -type f -name '*.json' -size +20k 2>/dev/null | LC_ALL=C sort | head -n 60 | xargs -r head -q -c 200000 2>/dev/null | keep json 4400000
awk 'BEGIN { x = 1; for (i = 0; i < 750000; i++) { x = (x * 69069 + 1) % 4294967296; printf "%02x", int(x / 16777216) } }' |
    xxd -r -p | base64 -w0 | keep base64 1000000
