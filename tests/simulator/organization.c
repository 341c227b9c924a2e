/* organization: names are 24 characters at the most, so they fit wherever they are copied to. */
#include "organization.h"

#include <inttypes.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "metergate/base/err.h"

static struct organization of_digest(struct slice seed)
{
    unsigned char d[EVP_MAX_MD_SIZE] = {0};
    struct organization org;
    int ok = EVP_Digest(seed.p, seed.n, d, NULL, EVP_sha256(), NULL);

    MG_ASSERT(ok == 1);
    snprintf(org.name, sizeof org.name, "org-%02x%02x%02x%02x%02x%02x%02x%02x", d[0], d[1], d[2], d[3], d[4],
             d[5], d[6], d[7]);
    snprintf(org.uuid, sizeof org.uuid, "%02x%02x%02x%02x-%02x%02x-4%x%02x-8%x%02x-%02x%02x%02x%02x%02x%02x",
             d[0], d[1], d[2], d[3], d[4], d[5], d[6] & 15, d[7], d[8] & 15, d[9], d[10], d[11], d[12], d[13],
             d[14], d[15]);
    return org;
}

struct organization organization_shared(void)
{
    struct organization org = of_digest(SLICE("simulator"));

    snprintf(org.name, sizeof org.name, "org-simulator");
    return org;
}

struct organization organization_of_key(struct slice key)
{
    return of_digest(key.n ? key : SLICE("nobody"));
}
