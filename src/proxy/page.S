/* The pages of the dashboard, as read-only data. -Wa,-I names the directory that they are in. */
    .section .rodata
    .globl page_dashboard, page_dashboard_end
    .hidden page_dashboard, page_dashboard_end
page_dashboard:
    .incbin "page.html"
page_dashboard_end:

    .globl page_login, page_login_end
    .hidden page_login, page_login_end
page_login:
    .incbin "login.html"
page_login_end:

    .section .note.GNU-stack, "", %progbits
