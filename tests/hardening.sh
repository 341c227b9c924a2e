#!/bin/sh
# hardening.sh PROGRAM...: each program is a position-independent executable whose relocations become read-only before it starts, whose stack is
# not executable, whose functions have stack protectors and checked copies, and (x86-64) whose indirect branches and returns the processor may check.
# A flag that was lost shows here and nowhere else.
set -u
failed=0
wants() { # PROGRAM WHAT TEXT PATTERN
    if ! printf '%s\n' "$3" | grep -Eq -- "$4"; then
        echo "FAIL  hardening: $1: $2"
        failed=1
    fi
}
for program in "$@"; do
    headers=$(readelf -W -h -l -d -n "$program") || exit 1
    symbols=$(readelf -W --dyn-syms "$program")
    wants "$program" "not position-independent (-pie)" "$headers" 'FLAGS_1.*PIE'
    wants "$program" "no RELRO (-z relro)" "$headers" 'GNU_RELRO'
    wants "$program" "symbols are bound late (-z now)" "$headers" 'FLAGS_1.*NOW'
    wants "$program" "the stack is executable" "$headers" 'GNU_STACK.* RW +0x'
    wants "$program" "no stack protector" "$symbols" '__stack_chk_fail'
    wants "$program" "no checked copies (_FORTIFY_SOURCE)" "$symbols" '__(memcpy|snprintf|vsnprintf)_chk'
    if printf '%s\n' "$headers" | grep -E 'LOAD.* RWE ' >/dev/null; then
        echo "FAIL  hardening: $program: memory that can be both written and executed"
        failed=1
    fi
    [ "$(uname -m)" != x86_64 ] ||
        wants "$program" "no CET (-fcf-protection, -z ibt, -z shstk)" "$headers" 'IBT, SHSTK'
done
[ $failed = 0 ] && echo "ok    hardening: PIE, RELRO, NX, stack protector, fortified copies, CET where there is one"
exit $failed
