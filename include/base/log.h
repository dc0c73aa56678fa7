/* Structured log: an event name and key-values, one line each, to a sink that app installs.
 *
 *   ad_log(AD_LOG_INFO, "listening", AD_KS("name", name), AD_KI("port", 8080));
 *
 * Event names are constants in snake_case; values carry ids, counts, codes and path templates,
 * never what people typed. As a safety net the front end masks, in every string value: secrets
 * registered with ad_log_hide, e-mail addresses, runs of 7 and more digits led by '+' (blanks and
 * the like may group them), and values under keys that name secrets (token, secret, signature,
 * authorization, password, api_key). Control characters are escaped, so no value can forge a line.
 * A value longer than 512 bytes is cut, a line stays under 8 KiB; what no longer fits is left out
 * and the line says so.
 *
 * Loop thread and store threads may log; the sink must not block (infra/log_sink.h does not). A
 * line logged from inside the sink is dropped. Installing, levels and secrets are the loop
 * thread's. */
#ifndef AD_BASE_LOG_H
#define AD_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

enum ad_log_level { AD_LOG_DEBUG, AD_LOG_INFO, AD_LOG_WARN, AD_LOG_ERROR };
enum ad_log_format { AD_LOG_JSON, AD_LOG_TEXT };

struct ad_kv {
    const char *key; /* NULL ends a list */
    enum { AD_KV_STR, AD_KV_I64, AD_KV_BOOL } type;
    struct ad_str str;
    int64_t i64;
};

#define AD_KS(k, v) ((struct ad_kv){ .key = (k), .type = AD_KV_STR, .str = (v) })
#define AD_KC(k, v) ((struct ad_kv){ .key = (k), .type = AD_KV_STR, .str = ad_str_c(v) })
#define AD_KI(k, v) ((struct ad_kv){ .key = (k), .type = AD_KV_I64, .i64 = (int64_t)(v) })
#define AD_KB(k, v) ((struct ad_kv){ .key = (k), .type = AD_KV_BOOL, .i64 = (v) ? 1 : 0 })
#define AD_KE(k, err) AD_KC(k, ad_err_name(err))

/* ad_log(level, event, pairs...): the pairs are only evaluated when the line is wanted. */
#define ad_log(level, ...) ad__log(level, __VA_ARGS__, { .key = NULL })
#define ad__log(level, event, ...)                                             \
    do {                                                                       \
        if (ad_log_wants(level)) {                                             \
            ad_log_write(level, event, (const struct ad_kv[]){ __VA_ARGS__ }); \
        }                                                                      \
    } while (0)

/* Receives one finished line with its newline. */
typedef void (*ad_log_sink)(void *ctx, enum ad_log_level level, struct ad_str line);

/* Until installed, lines are dropped. `clock` gives the time of each line. */
void ad_log_install(ad_log_sink sink, void *ctx, const struct ad_clock *clock,
                    enum ad_log_format format);
void ad_log_set_level(enum ad_log_level level);
bool ad_log_wants(enum ad_log_level level);
void ad_log_write(enum ad_log_level level, const char *event, const struct ad_kv *kvs);

/* Masks `secret` (8 bytes and more; shorter ones are refused with INVALID) wherever it would
 * appear. Copies it. ad_log_forget_all wipes them. */
AD_MUST_CHECK enum ad_err ad_log_hide(struct ad_str secret);
void ad_log_forget_all(void);

#endif
