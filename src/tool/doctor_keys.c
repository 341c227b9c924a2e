/* doctor_keys: whether a key is there and could be sent; of what it is nothing is shown, not its length
 * either. */
#include <stdlib.h>
#include <string.h>

#include "metergate/base/secret.h"
#include "metergate/tool/doctor.h"
#include "metergate/tool/names.h"

static const char *const keys[] = {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN",
                                   "GOOGLE_API_KEY", "GEMINI_API_KEY",    "AZURE_OPENAI_API_KEY"};

/* A copied line end, a quotation mark of a text editor: the provider would not know it, or no header can
 * carry it. */
static bool is_sound(const char *name, const char *value)
{
    struct secret s;
    struct errbuf unsaid;
    bool sound;

    secret_init(&s);
    sound = secret_from_env(&s, name, &unsaid) == 0 && !strpbrk(value, " \t\"'");
    secret_release(&s);
    return sound;
}

void doctor_keys(struct doctor *d)
{
    struct names set;

    names_init(&set);
    for (size_t i = 0; i < MG_ARRAY_LEN(keys); i++) {
        const char *value = getenv(keys[i]);

        if (!value || !*value)
            continue;
        names_add(&set, slice_str(keys[i]));
        if (is_sound(keys[i], value))
            continue;
        findings_add(&d->findings, "keys", FINDING_FAIL,
                     "%s has a space, a quotation mark, a line end or the like in it", keys[i]);
        findings_advise(&d->findings, "Set it again without: no provider's key has one.");
    }
    if (set.n)
        findings_add(&d->findings, "keys", FINDING_OK, "set: %s", names_text(&set));
    else
        findings_add(&d->findings, "keys", FINDING_OK,
                     "none is set here: only upstreams of which Metergate holds the key answer");
    names_release(&set);
}
