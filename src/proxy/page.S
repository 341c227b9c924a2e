/* The pages of the dashboard and how long they are, as read-only data. -Wa,-I names the directory that they are in. */
    .section .rodata
    .macro page name, file
    .globl \name, \name\()_bytes
    .hidden \name, \name\()_bytes
\name:
    .incbin "\file"
1:
    .balign 4
\name\()_bytes:
    .long 1b - \name
    .endm

    page page_dashboard, page.html
    page page_login, login.html

    .section .note.GNU-stack, "", %progbits
