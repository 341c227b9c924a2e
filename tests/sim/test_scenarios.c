/* scenarios: plays every .scn file of tests/sim (or those given). Runs from the top of the tree, as `make
 * test` does. */
#include <glob.h>
#include <stdio.h>

#include "scenario.h"

static int play(const char *path)
{
    int rc = scenario_play(path);

    printf("%s  %s\n", rc == 0 ? "ok  " : "FAIL", path);
    return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    glob_t found;
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed += play(argv[i]);
    if (argc > 1)
        return failed ? 1 : 0;
    if (glob("tests/sim/*.scn", 0, NULL, &found) != 0) {
        printf("no scenario files here\n");
        return 1;
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        failed += play(found.gl_pathv[i]);
    globfree(&found);
    return failed ? 1 : 0;
}
