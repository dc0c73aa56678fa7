/* migrate: our own tables, on the database itself, which no server may have open. */
#include "app/cli.h"

#include "attio/migrate.h"
#include "infra/loop.h"
#include "infra/store.h"

#include <stdio.h>
#include <string.h>

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void close_store(struct ad_loop *loop, struct ad_store *store)
{
    bool closed = false;
    ad_store_close(store, on_closed, &closed);
    while (!closed) {
        ad_loop_turn(loop, 1000);
    }
}

static void say(const struct ad_cli *cli, int from, int to)
{
    if (cli->json) {
        (void)printf("{\"data\":{\"from\":%d,\"to\":%d,\"dry_run\":%s}}\n", from, to,
                     cli->dry_run ? "true" : "false");
    } else if (from == to) {
        (void)printf("the tables have version %d: nothing to do\n", to);
    } else {
        (void)printf("the tables %s from version %d to %d\n",
                     cli->dry_run ? "would be brought" : "were brought", from, to);
    }
}

/* That something would have to be done is what a dry run is asked for, and no failure. */
static int migrate(const struct ad_cli *cli, struct ad_store *store)
{
    int from = -1;
    int to = -1;
    struct ad_errinfo info = { .code = AD_OK };
    enum ad_err err = ad_migrate(store, cli->dry_run, &from, &to, &info);
    if (err == AD_ERR_CONFLICT && cli->dry_run && from < to) {
        err = AD_OK;
    }
    if (err) {
        ad_cli_complain("%s", info.msg);
        return AD_EXIT_DATABASE;
    }
    say(cli, from, to);
    return AD_EXIT_OK;
}

static int on_database(const struct ad_cli *cli, const struct ad_config *c, struct ad_loop *loop)
{
    struct ad_store *store;
    struct ad_errinfo info = { .code = AD_OK };
    const struct ad_store_opts opts = { .url = c->database_url };
    if (ad_store_open(loop, &opts, &store, &info)) {
        ad_cli_complain("%s", info.msg);
        return AD_EXIT_DATABASE;
    }
    int code = migrate(cli, store);
    close_store(loop, store);
    return code;
}

int ad_cmd_migrate(const struct ad_cli *cli)
{
    struct ad_config c;
    struct ad_loop *loop;
    int code = ad_cli_config(cli, false, &c);
    if (!code && ad_loop_open(&loop)) {
        ad_cli_complain("cannot start the event loop");
        code = AD_EXIT_FAILED;
    }
    if (!code) {
        code = on_database(cli, &c, loop);
        AD_IGNORE(ad_loop_close(loop), "the command ends here anyway");
    }
    ad_config_fini(&c);
    return code;
}
