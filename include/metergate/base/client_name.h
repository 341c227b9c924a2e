/*
 * client_name: what a client can be called: 1 to 64 of A-Z a-z 0-9 . _ - and not only dots, so that a name can stand in a
 * path, a header, a file of the configuration and a label as it is.
 */
#ifndef METERGATE_BASE_CLIENT_NAME_H
#define METERGATE_BASE_CLIENT_NAME_H

#include <stdbool.h>

#include "metergate/base/slice.h"

#define CLIENT_NAME_MAX  64
#define CLIENT_NAME_SIZE (CLIENT_NAME_MAX + 1)

bool client_name_ok(struct slice name);

/*
 * Makes a name of any text: other characters become '_' (one for each character of UTF-8, one for each byte that is none), and
 * it is cut at 64. False, and "", when nothing is left that could be a name.
 */
bool client_name_make(struct slice text, char ret[CLIENT_NAME_SIZE]);

#endif
