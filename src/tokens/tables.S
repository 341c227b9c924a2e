/* The tables that tools/vocab made during the build, as read-only data. -Wa,-I names the directory that they are in. */
    .section .rodata
    .balign 64
    .globl tables_o200k
    .hidden tables_o200k
tables_o200k:
    .incbin "o200k_base.tables"

    .balign 64
    .globl tables_cl100k
    .hidden tables_cl100k
tables_cl100k:
    .incbin "cl100k_base.tables"

    .balign 64
    .globl tables_classes
    .hidden tables_classes
tables_classes:
    .incbin "unicode.tables"

    .section .note.GNU-stack, "", %progbits
