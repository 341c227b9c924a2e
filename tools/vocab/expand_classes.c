/*
 * expand_classes IN.runs OUT.tables: the runs of character classes to the two-stage table of
 * metergate/tokens/tables.h; a step of every build. Blocks of 256 code points that are alike are kept once.
 */
#include <stdlib.h>
#include <string.h>

#include "metergate/tokens/tables.h"
#include "vocab.h"

#define CODE_POINTS 0x110000u

static void read_runs(const char *path, unsigned char *class)
{
    size_t n, i = 0;
    unsigned char *runs = vocab_read_file(path, &n);
    uint32_t at = 0;

    while (i < n) {
        uint32_t run = 0;
        int shift = 0;

        do {
            if (i == n || shift > 24)
                vocab_die("%s: cut short", path);
            run |= (uint32_t)(runs[i] & 0x7f) << shift;
            shift += 7;
        } while (runs[i++] & 0x80);
        if (run >> 3 > CODE_POINTS - at)
            vocab_die("%s: too many code points", path);
        memset(class + at, (int)(run & 7), run >> 3);
        at += run >> 3;
    }
    if (at != CODE_POINTS)
        vocab_die("%s: %u code points", path, at);
    free(runs);
}

int main(int argc, char **argv)
{
    static unsigned char class[CODE_POINTS], out[CLASS_BLOCKS + CLASS_MAX_BLOCKS * 256];
    uint32_t blocks = 0;

    if (argc != 3)
        vocab_die("usage: expand_classes IN.runs OUT.tables");
    read_runs(argv[1], class);
    for (uint32_t i = 0; i < CLASS_BLOCKS; i++) {
        const unsigned char *block = class + (size_t)i * 256;
        uint32_t same = 0;

        while (same < blocks && memcmp(out + CLASS_BLOCKS + (size_t)same * 256, block, 256) != 0)
            same++;
        if (same == CLASS_MAX_BLOCKS)
            vocab_die("too many different blocks of classes");
        if (same == blocks)
            memcpy(out + CLASS_BLOCKS + (size_t)blocks++ * 256, block, 256);
        out[i] = (unsigned char)same;
    }
    vocab_write_file(argv[2], out, CLASS_BLOCKS + (size_t)blocks * 256);
    return 0;
}
