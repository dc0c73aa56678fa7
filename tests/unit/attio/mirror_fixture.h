/* A mirror over a database whose schema stands in SQL as a refresh would have left it; ids are
 * numbers. */
#ifndef AD_TEST_MIRROR_FIXTURE_H
#define AD_TEST_MIRROR_FIXTURE_H

#include "attio/mirror.h"

#include "fixture.h"

#define O "00000000-0000-4000-8000-0000000000a1"
#define O_TABLE "attiod_o_00000000_0000_4000_8000_0000000000a1"
#define O2 "00000000-0000-4000-8000-0000000000a2"
#define R(n) "10000000-0000-4000-8000-00000000000" #n
#define WS "20000000-0000-4000-8000-000000000001"
#define ATTR(n) "30000000-0000-4000-8000-0000000000" #n
#define COL(n) "a_30000000_0000_4000_8000_0000000000" #n

#define RECORD(id, title)                                                                         \
    "{\"id\":{\"workspace_id\":\"" WS "\",\"object_id\":\"" O "\",\"record_id\":\"" id            \
    "\"},\"created_at\":\"2026-01-01T00:00:00.000000001Z\",\"values\":{\"job_title\":[{\"value\"" \
    ":\"" title "\",\"active_until\":null}]}}"
#define PAGE(...) "{\"data\":[" __VA_ARGS__ "]}"
#define L "50000000-0000-4000-8000-0000000000b1"
#define L_TABLE "attiod_l_50000000_0000_4000_8000_0000000000b1"

/* All of them, one test process each. */
extern struct attio_fixture f;
extern struct ad_inbox *in;
extern struct ad_schema *schema;
extern struct ad_mirror *m;
extern unsigned late_ms, unchanged_max; /* of the mirror; for the next layers_open */

void mirror_setup(void); /* object "people" with job_title, a text */
void mirror_teardown(void);
void layers_open(void);
void layers_close(void);
/* The schema as SQL has it now: as after a restart. */
void reopen(void);

void object(const char *id, int position, const char *slug);
void list(const char *id, int position, const char *slug);
void attribute(const char *object, const char *id, int position, const char *slug, const char *type,
               bool multi, bool archived);
const struct ad_object *the_object(void);

/* What every operation has; op->object stays when it is set. */
void prepare(struct ad_mirror_op *op, int64_t version, bool *done);
void apply_op(struct ad_mirror_op *op, int64_t version, const char *text);
struct ad_mirror_op apply(int64_t version, const char *text);
struct ad_mirror_op apply_to(const struct ad_object *o, int64_t version, const char *text);
struct ad_mirror_op apply_at(int64_t version, int64_t accurate_ns, const char *text);
struct ad_mirror_op delete_at(int64_t version, const char *id);

void assert_counts(struct ad_mirror_op op, unsigned created, unsigned updated, unsigned unchanged,
                   unsigned stale);
void assert_text(const char *sql, const char *want);

#endif
