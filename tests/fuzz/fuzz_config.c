/* Configuration: up to the first NUL a file, behind it variables, NAME=value, one per NUL. However
 * wrong they are, every mistake gets words, and what is shown of a configuration holds no secret. */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/config.h"

#define VARIABLES_MAX 16
#define API_KEY "fuzz-key-0123456789abcdef"

static void check_words(const struct ad_list *list)
{
    AD_LIST_FOREACH (it, list) {
        const struct ad_config_error *e = ad_container_of(it, struct ad_config_error, link);
        FUZZ_CHECK(e->message && e->message[0] && e->at.what);
        FUZZ_CHECK(!strstr(e->message, API_KEY));
    }
}

static void check_shown(struct ad_config *c)
{
    for (size_t i = 0; i < ad_config_keys_n; i++) {
        const char *shown = ad_config_show(c, &ad_config_keys[i]);
        FUZZ_CHECK(!shown || !strstr(shown, API_KEY));
    }
}

static void load(const char *path, char *const *variables)
{
    struct ad_config c;
    const struct ad_config_input in = { .environ = variables, .file = path, .serve = true };
    enum ad_err err = ad_config_load(&c, &in);
    FUZZ_CHECK(err == AD_OK ? c.errors_n == 0 : err == AD_ERR_CONFIG && c.errors_n > 0);
    check_words(&c.errors);
    check_words(&c.warnings);
    if (!err) {
        check_shown(&c);
    }
    ad_config_fini(&c);
}

/* Those that name a file would have the fuzzer read what lies about. */
static bool names_a_file(const char *variable)
{
    return strstr(variable, "_FILE=") || strstr(variable, "_DIR=") || strstr(variable, "_TLS_");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (memmem(data, size, API_KEY, strlen(API_KEY))) {
        return 0; /* given as something that is no secret, it may well be shown */
    }
    char *copy = malloc(size + 1);
    FUZZ_CHECK(copy);
    memcpy(copy, data, size);
    copy[size] = '\0';
    size_t file_n = strlen(copy);
    int fd = memfd_create("config", 0);
    FUZZ_CHECK(fd >= 0 && write(fd, copy, file_n) == (ssize_t)file_n);
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

    char key[] = "ATTIO_API_KEY=" API_KEY;
    char *variables[VARIABLES_MAX + 2] = { key };
    size_t n = 1;
    for (size_t at = file_n + 1; at < size && n <= VARIABLES_MAX; at += strlen(copy + at) + 1) {
        if (strchr(copy + at, '=') && !names_a_file(copy + at) &&
            strncmp(copy + at, "ATTIO_API_KEY=", 14) != 0) {
            variables[n++] = copy + at;
        }
    }
    load(path, variables);
    (void)close(fd);
    free(copy);
    return 0;
}
