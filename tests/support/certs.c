#include "support/certs.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static char folder[64];

static void run(const char *command)
{
    int status = system(command); /* NOLINT(cert-env33-c,concurrency-mt-unsafe): our own script */
    if (status != 0) {
        (void)fprintf(stderr, "%s: exit status %d\n", command, status);
        abort();
    }
}

void certs_make(void)
{
    char command[1024];
    const char *source = getenv("ATTIOD_SOURCE_DIR"); /* NOLINT(concurrency-mt-unsafe) */
    (void)snprintf(folder, sizeof(folder), "/tmp/attiod-certs-XXXXXX");
    if (!mkdtemp(folder)) {
        abort();
    }
    (void)snprintf(command, sizeof(command), "'%s/tests/support/certs.sh' %s",
                   source ? source : ".", folder);
    run(command);
}

void certs_remove(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    run(command);
}

const char *certs_path(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}
