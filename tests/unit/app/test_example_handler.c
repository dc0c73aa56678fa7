/* The example in src/handlers, against the public header alone: the functions that attiod offers
 * to handlers are doubles here. */
#include "attiod/handler.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/run.h"

extern const struct ad_handler example_log;

struct ad_invocation {
    struct ad_handler_event event;
    unsigned done;
    enum ad_outcome outcome;
    const char *why;
};

size_t ad_invocation_count(const struct ad_invocation *inv)
{
    (void)inv;
    return 1;
}

const struct ad_handler_event *ad_invocation_event(const struct ad_invocation *inv, size_t i)
{
    ck_assert_uint_eq(i, 0);
    return &inv->event;
}

void ad_invocation_done(struct ad_invocation *inv, enum ad_outcome outcome, const char *why)
{
    inv->done++;
    inv->outcome = outcome;
    inv->why = why;
}

static struct ad_invocation run_once(const char *file)
{
    struct ad_invocation inv = {
        .event = { .id = 7, .type = "record.updated", .record_id = "a-record", .attempt = 2 }
    };
    if (file) {
        ck_assert_int_eq(setenv("EXAMPLE_LOG_FILE", file, 1), 0);
    } else {
        ck_assert_int_eq(unsetenv("EXAMPLE_LOG_FILE"), 0);
    }
    example_log.run(example_log.ctx, &inv);
    ck_assert_uint_eq(inv.done, 1);
    return inv;
}

START_TEST(the_example_is_complete)
{
    ck_assert_uint_eq(example_log.abi, AD_HANDLER_ABI);
    ck_assert_ptr_nonnull(example_log.name);
    ck_assert_ptr_nonnull(example_log.types);
    ck_assert(example_log.run != NULL);
}
END_TEST

START_TEST(it_appends_a_line_of_ids)
{
    char path[] = "/tmp/attiod-example-XXXXXX";
    char text[256] = "";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(run_once(path).outcome, AD_OUTCOME_DONE);
    ck_assert_int_eq(run_once(path).outcome, AD_OUTCOME_DONE);
    ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
    ck_assert_str_eq(text,
                     "7 record.updated a-record attempt 2\n7 record.updated a-record attempt 2\n");
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(what_may_pass_is_retried_and_what_will_not_is_dead)
{
    struct ad_invocation inv = run_once("/nowhere/at/all");
    ck_assert_int_eq(inv.outcome, AD_OUTCOME_RETRY);
    ck_assert_ptr_nonnull(inv.why);
    ck_assert_int_eq(run_once(NULL).outcome, AD_OUTCOME_DEAD);
}
END_TEST

static Suite *example_suite(void)
{
    const TTest *const tests[] = {
        the_example_is_complete,
        it_appends_a_line_of_ids,
        what_may_pass_is_retried_and_what_will_not_is_dead,
    };
    return suite_of("example_handler", tests, AD_LEN(tests));
}

RUN_SUITE(example_suite)
