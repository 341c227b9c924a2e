/*
 * corpus_runner: main() of a fuzz target when no fuzzer drives it. Every file of tests/fuzz/corpus/<name of
 * the program>/ goes through the target once, each in memory of exactly its size, and so does the empty
 * input. Files given as arguments go through instead: that is how a finding of the fuzzer is looked at.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long n = -1;
    int rc = -1;

    if (f && fseek(f, 0, SEEK_END) == 0)
        n = ftell(f);
    if (n >= 0)
        data = malloc(n ? (size_t)n : 1);
    if (data) {
        rewind(f);
        if (fread(data, 1, (size_t)n, f) == (size_t)n)
            rc = 0;
    }
    if (f)
        (void)fclose(f);
    if (rc < 0)
        perror(path);
    else
        LLVMFuzzerTestOneInput(data, (size_t)n);
    free(data);
    return rc;
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int run_corpus(const char *program)
{
    const char *slash = strrchr(program, '/');
    struct dirent **files = NULL;
    char path[1024];
    int rc = 0, n;

    (void)snprintf(path, sizeof path, "tests/fuzz/corpus/%s", slash ? slash + 1 : program);
    n = scandir(path, &files, is_visible, alphasort);
    if (n <= 0) {
        perror(path);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", slash ? slash + 1 : program,
                       files[i]->d_name);
        rc |= run_file(path);
        free(files[i]);
    }
    free((void *)files);
    printf("%d files\n", n);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = 0;

    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc && rc == 0; i++)
        rc = run_file(argv[i]);
    if (argc == 1)
        rc = run_corpus(argv[0]);
    return rc == 0 ? 0 : 1;
}
