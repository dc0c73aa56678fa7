/* What tests of the store share: a database made for one test, requests with room for their steps
 * and values, and the other program that locks it.
 *
 * The contract suite is written over `struct store_backend`; what only SQLite has is in
 * integration/test_store_sqlite.c. */
#ifndef AD_TEST_STORE_FIXTURE_H
#define AD_TEST_STORE_FIXTURE_H

#include "infra/store.h"

#include "support/run.h"
#include "support/world.h"

struct store_backend {
    const char *name;
    void (*create)(void);  /* an empty database, and fixture.url */
    void (*destroy)(void); /* everything of it */
    /* Another program takes and lets go of the write lock. */
    void (*lock)(void);
    void (*unlock)(void);
    bool on_loop; /* the loop waits for the database: nothing happens beside it */
};
extern const struct store_backend sqlite_backend, sqlite_on_loop_backend;

enum { STEPS = 4, VALUES = 8 };

struct job {
    struct ad_store_req req;
    struct ad_step steps[STEPS];
    struct ad_value values[STEPS][VALUES];
    unsigned done;  /* callbacks */
    unsigned place; /* in the order of all callbacks, from 1 */
};

struct store_fixture {
    struct world w;
    const struct store_backend *backend;
    struct ad_store_opts opts; /* set before fixture_open_store */
    struct ad_metrics *metrics;
    struct ad_store *store;
    unsigned done; /* callbacks of all jobs */
    char dir[64], path[96], url[128];
};
extern struct store_fixture f;

/* World, database and (but for _bare) a store with a table t(id integer key, n, s). */
void fixture_open(const struct store_backend *backend);
void fixture_open_bare(const struct store_backend *backend);
void fixture_open_store(void);
void fixture_close_store(void);
void fixture_close(void);

/* The same text for each database; initialises a struct ad_sql. */
#define SQL(text)  \
    {              \
        text, text \
    }

/* Adds a step whose values follow. */
#define STEP(job, sql_, ...)                                      \
    job_step(job, sql_, (const struct ad_value[]){ __VA_ARGS__ }, \
             sizeof((const struct ad_value[]){ __VA_ARGS__ }) / sizeof(struct ad_value))
void job_init(struct job *job, enum ad_store_class cls);
void job_step(struct job *job, const struct ad_sql *sql, const struct ad_value *values, size_t n);
void job_write(struct job *job);
void job_read(struct job *job);
void job_await(struct job *job);
void jobs_await(unsigned callbacks);

/* INSERT INTO t (id, n) VALUES (id, n), submitted. */
void job_insert(struct job *job, enum ad_store_class cls, int64_t id, int64_t n);
extern const struct ad_sql insert_sql;
/* Synchronous helpers. */
void run_sql(const char *script);
int64_t ask_i64(const char *text);
int64_t rows_of_t(void);
uint64_t counter(const char *name, const char *labels);
uint64_t real_ms(void);
/* Formats; the text must fit. */
void text_of(char *out, size_t cap, const char *fmt, ...) AD_PRINTF(3, 4);

#endif
