/* An example: one line for every change of a person, appended to a file.
 *
 * Compiled in, so that it stays right, but not listed in src/app/handlers.c: it does nothing
 * until you list it: README.md in this folder says where. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "attiod/handler.h"

extern const struct ad_handler example_log;

/* A line of ids: never what is in the record, because files like this one outlive their purpose. */
static int append(const char *path, const struct ad_handler_event *e)
{
    char line[256];
    int n = snprintf(line, sizeof(line), "%lld %s %s attempt %u\n", (long long)e->id, e->type,
                     e->record_id, e->attempt);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    ssize_t written = write(fd, line, (size_t)n);
    return close(fd) == 0 && written == n ? 0 : -1;
}

static void run(void *ctx, struct ad_invocation *inv)
{
    (void)ctx;
    const char *path = getenv("EXAMPLE_LOG_FILE");
    if (!path) {
        ad_invocation_done(inv, AD_OUTCOME_DEAD, "EXAMPLE_LOG_FILE is not set");
        return;
    }
    /* One short local write does not block for long; a call over a network would be started here
     * and finished with ad_invocation_done in its callback. */
    if (append(path, ad_invocation_event(inv, 0)) != 0) {
        ad_invocation_done(inv, AD_OUTCOME_RETRY, "the file cannot be written");
        return;
    }
    ad_invocation_done(inv, AD_OUTCOME_DONE, NULL);
}

static const char *const types[] = { "record.created", "record.updated", NULL };

const struct ad_handler example_log = {
    .abi = AD_HANDLER_ABI,
    .name = "example_log",
    .types = types,
    .mode = AD_HANDLER_EACH,
    .object = "people",
    .run = run,
};
