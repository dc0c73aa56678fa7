#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name, *text;
    unsigned http;
    bool retryable;
};

static const struct row rows[] = { { "OK", "ok", 200, false },
#define AD_ERR_ROW(name, text, http, retry) { #name, text, http, retry },
                                   AD_ERR_LIST(AD_ERR_ROW)
#undef AD_ERR_ROW
};

static const struct row *row_of(enum ad_err err)
{
    unsigned i = (unsigned)err;
    return &rows[i < AD_LEN(rows) ? i : (unsigned)AD_ERR_INTERNAL];
}

const char *ad_err_name(enum ad_err err)
{
    return row_of(err)->name;
}

const char *ad_err_text(enum ad_err err)
{
    return row_of(err)->text;
}

unsigned ad_err_http(enum ad_err err)
{
    return row_of(err)->http;
}

bool ad_err_retryable(enum ad_err err)
{
    return row_of(err)->retryable;
}

/* A message that is cut in the middle of a character would not be UTF-8 any more. */
static void drop_partial_character(char *msg)
{
    size_t n = strlen(msg);
    size_t start = n;
    while (start > 0 && n - start < 3 && ((unsigned char)msg[start - 1] & 0xc0) == 0x80) {
        start--;
    }
    if (start == 0) {
        return;
    }
    unsigned char lead = (unsigned char)msg[start - 1];
    size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (need > n - start + 1) {
        msg[start - 1] = '\0';
    }
}

/* vsnprintf fails only on encoding errors and absurd widths; then there is simply no text. */
static AD_PRINTF(3, 0) void print(char *out, size_t size, const char *fmt, va_list args)
{
    int n = vsnprintf(out, size, fmt, args);
    if (n < 0) {
        out[0] = '\0';
    } else if ((size_t)n >= size) {
        drop_partial_character(out);
    }
}

enum ad_err ad_fail(struct ad_errinfo *info, enum ad_err code, const char *fmt, ...)
{
    if (info) {
        info->code = code;
        va_list args;
        va_start(args, fmt);
        print(info->msg, sizeof(info->msg), fmt, args);
        va_end(args);
    }
    return code;
}

void ad_errinfo_prefix(struct ad_errinfo *info, const char *fmt, ...)
{
    if (!info) {
        return;
    }
    char old[sizeof(info->msg)];
    memcpy(old, info->msg, sizeof(old));
    va_list args;
    va_start(args, fmt);
    print(info->msg, sizeof(info->msg), fmt, args);
    va_end(args);
    size_t n = strlen(info->msg);
    int more = snprintf(info->msg + n, sizeof(info->msg) - n, ": %s", old);
    if (more >= 0 && (size_t)more >= sizeof(info->msg) - n) {
        drop_partial_character(info->msg);
    }
}

void ad_assert_failed(const char *expr, const char *file, int line)
{
    AD_IGNORE(fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr) < 0,
              "nothing is left to tell it to");
    abort();
}
