/*
 * classes UnicodeData.txt PropList.txt OUT.runs: the Unicode Character Database to the few classes that the
 * pre-token patterns distinguish (enum char_class), as runs over all code points (see
 * src/tokens/data/README.md).
 *
 * Both files come with Debian's package unicode-data, under /usr/share/unicode.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/tokens/tables.h"
#include "vocab.h"

#define CODE_POINTS 0x110000u

static enum char_class class_of_category(const char *category)
{
    switch (category[0]) {
    case 'L':
        if (category[1] == 'l')
            return CHAR_LOWER;
        return category[1] == 'u' || category[1] == 't' ? CHAR_UPPER : CHAR_LETTER;
    case 'M':
        return CHAR_MARK;
    case 'N':
        return CHAR_NUMBER;
    default:
        return CHAR_OTHER;
    }
}

static void set_range(unsigned char *class, unsigned long first, unsigned long last, enum char_class to)
{
    if (first > last || last >= CODE_POINTS)
        vocab_die("U+%04lX..U+%04lX is no range", first, last);
    memset(class + first, (int)to, last - first + 1);
}

/* Lines `code point;name;category;...`; a range is two lines, named <..., First> and <..., Last>. */
static void read_categories(unsigned char *class, const char *path)
{
    FILE *f = fopen(path, "r");
    char line[1024];
    unsigned long first = 0;
    bool in_range = false;

    if (!f)
        vocab_die("cannot open %s", path);
    while (fgets(line, sizeof line, f)) {
        char *end;
        unsigned long cp = strtoul(line, &end, 16);
        const char *name = strchr(line, ';');
        const char *category = name ? strchr(name + 1, ';') : NULL;

        if (!category || end != name)
            vocab_die("%s: no UnicodeData line: %s", path, line);
        if (!in_range)
            first = cp;
        in_range = strstr(name, ", First>;") != NULL;
        if (!in_range)
            set_range(class, first, cp, class_of_category(category + 1));
    }
    (void)fclose(f);
}

/* Lines `first[..last] ; White_Space # ...`. */
static void read_white_space(unsigned char *class, const char *path)
{
    FILE *f = fopen(path, "r");
    char line[1024];

    if (!f)
        vocab_die("cannot open %s", path);
    while (fgets(line, sizeof line, f)) {
        char *end, *comment = strchr(line, '#');
        unsigned long first, last;

        if (comment)
            *comment = '\0';
        if (!strstr(line, "; White_Space"))
            continue;
        first = last = strtoul(line, &end, 16);
        if (strncmp(end, "..", 2) == 0)
            last = strtoul(end + 2, NULL, 16);
        set_range(class, first, last, CHAR_SPACE);
    }
    (void)fclose(f);
}

int main(int argc, char **argv)
{
    static unsigned char class[CODE_POINTS];
    FILE *f;

    if (argc != 4)
        vocab_die("usage: classes UnicodeData.txt PropList.txt OUT.runs");
    read_categories(class, argv[1]);
    read_white_space(class, argv[2]);
    class['\r'] = class['\n'] = CHAR_NEWLINE;
    if (class['a'] != CHAR_LOWER || class[0x4e2d] != CHAR_LETTER || class[0x3000] != CHAR_SPACE ||
        class[0xfeff] != CHAR_OTHER || class[0x10ffff] != CHAR_OTHER)
        vocab_die("these are not the files that were expected");
    f = fopen(argv[3], "wb");
    if (!f)
        vocab_die("cannot open %s", argv[3]);
    for (uint32_t at = 0, end; at < CODE_POINTS; at = end) {
        uint32_t run;

        for (end = at + 1; end < CODE_POINTS && class[end] == class[at]; end++)
            ;
        for (run = (end - at) << 3 | class[at]; run >= 0x80; run >>= 7)
            (void)fputc((int)(run & 0x7f) | 0x80, f);
        (void)fputc((int)run, f);
    }
    if (fclose(f) != 0)
        vocab_die("cannot write %s", argv[3]);
    return 0;
}
