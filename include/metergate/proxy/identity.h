/*
 * identity: who is asking. `/@NAME` in the path, else the Metergate-Client header, else the local user whom the kernel
 * names behind a Unix socket, else the peer's address.
 */
#ifndef METERGATE_PROXY_IDENTITY_H
#define METERGATE_PROXY_IDENTITY_H

struct call;

/*
 * Reads the call's Metergate-* headers: its client and how long it will wait. NULL, or a static sentence that says what
 * is wrong with them; then nothing of the call is set.
 */
const char *identity_read(struct call *c);

#endif
