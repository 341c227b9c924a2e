/*
 * shim_io: calls that fail, are interrupted, or move a single byte, as the memory says. Only what the system may do as well: a
 * datagram is never cut, a descriptor of the kernel's own (eventfd, timerfd, signalfd) is left alone, and so are connections of
 * clients: whoever waits for those by edges (libmicrohttpd does) may take a short transfer for "there is no more", which on Linux it is.
 */
#include "shim.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define KNOWN 65536

static _Atomic bool accepted[KNOWN]; /* by descriptor */

static void note(int fd, bool by_accept)
{
    if (fd >= 0 && fd < KNOWN)
        atomic_store_explicit(&accepted[fd], by_accept, memory_order_relaxed);
}

/* ---- connections ---- */

/* Whether it fails now; errno says how. */
static bool fails(enum steer_call call)
{
    struct steer *s = shim_steer();

    if (!s || !shim_dice(s, atomic_load(&s->error_per_mille[call])))
        return false;
    errno = atomic_load(&s->error[call]);
    return true;
}

/* The system's own types of an address: each is one of several. */
int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *restrict n, int flags)
{
    SHIM_REAL(accept4);
    int made;

    if (fails(STEER_ACCEPT))
        return -1;
    made = accept4_real.function(fd, addr, n, flags);
    note(made, true);
    return made;
}

int socket(int domain, int type, int protocol)
{
    SHIM_REAL(socket);
    int made;

    if ((domain == AF_INET || domain == AF_INET6) && fails(STEER_SOCKET))
        return -1;
    made = socket_real.function(domain, type, protocol);
    note(made, false);
    return made;
}

int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t n)
{
    SHIM_REAL(connect);

    if (addr.__sockaddr__->sa_family != AF_UNIX && fails(STEER_CONNECT))
        return -1;
    return connect_real.function(fd, addr, n);
}

/* ---- bytes ---- */

/* Regular files, and streams that we opened. */
static bool is_ours(int fd)
{
    struct stat st;
    int type = 0;
    socklen_t n = sizeof type;

    if (fd < 0 || fd >= KNOWN || fstat(fd, &st) < 0)
        return false;
    if (S_ISREG(st.st_mode))
        return true;
    return S_ISSOCK(st.st_mode) && !atomic_load_explicit(&accepted[fd], memory_order_relaxed) &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

/* How many bytes of n are moved; -1: none, it was interrupted. */
static ssize_t share(int fd, size_t n)
{
    struct steer *s = shim_steer();
    int keep = errno;
    bool interrupted = s && shim_dice(s, atomic_load(&s->eintr_per_mille));
    bool cut = s && n > 1 && shim_dice(s, atomic_load(&s->short_per_mille));

    if (!interrupted && !cut)
        return (ssize_t)n;
    if (!is_ours(fd)) {
        errno = keep;
        return (ssize_t)n;
    }
    errno = interrupted ? EINTR : keep;
    return interrupted ? -1 : 1;
}

#define MOVE(name, parameters, arguments)    \
    ssize_t name parameters                  \
    {                                        \
        SHIM_REAL(name);                     \
        ssize_t moved = share(fd, n);        \
                                             \
        if (moved < 0)                       \
            return -1;                       \
        n = (size_t)moved;                   \
        return name##_real.function arguments; \
    }

MOVE(read, (int fd, void *p, size_t n), (fd, p, n))
MOVE(write, (int fd, const void *p, size_t n), (fd, p, n))
MOVE(pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
MOVE(pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at))
MOVE(pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
MOVE(pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
MOVE(send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
MOVE(recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))

/* What a program built with _FORTIFY_SOURCE calls in place of read. */
ssize_t shim_read_checked(int fd, void *p, size_t n, size_t room) __asm__("__read_chk");
ssize_t shim_read_checked(int fd, void *p, size_t n, size_t room)
{
    if (n > room)
        __builtin_trap();
    return read(fd, p, n);
}
