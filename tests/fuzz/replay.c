/* Runs a fuzz target over files: replay CORPUS-FOLDER. A line of TAP per file, where libcheck would
 * put its own, so that tests/support/run_c.py counts them. */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

static uint8_t *read_whole(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file && fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    FUZZ_CHECK(size >= 0 && fseek(file, 0, SEEK_SET) == 0);
    *n = (size_t)size;
    /* Exactly as large as it is, so that a read behind its end is seen. */
    uint8_t *data = malloc(*n ? *n : 1);
    FUZZ_CHECK(data && fread(data, 1, *n, file) == *n);
    (void)fclose(file);
    return data;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    FUZZ_CHECK(argc == 2);
    const char *tap_path = getenv("CK_TAP_LOG_FILE_NAME");
    FILE *tap = tap_path ? fopen(tap_path, "w") : stdout;
    struct dirent **names;
    int n = scandir(argv[1], &names, not_hidden, alphasort);
    FUZZ_CHECK(tap && n > 0);
    (void)fprintf(tap, "1..%d\n", n);
    for (int i = 0; i < n; i++) {
        char path[4096];
        size_t size;
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
        uint8_t *data = read_whole(path, &size);
        (void)fflush(tap); /* what came before is counted even if this one ends us */
        LLVMFuzzerTestOneInput(data, size);
        (void)fprintf(tap, "ok %d - %s\n", i + 1, names[i]->d_name);
        free(data);
        free(names[i]);
    }
    free(names);
    return tap == stdout ? 0 : fclose(tap);
}
