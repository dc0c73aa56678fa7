/* Open addressing: 17 bytes a place, because a tie may be as large as an import. */
#include "sync_ids.h"

#include <string.h>

#include "base/mem.h"

/* A page of 500, half full. */
#define CAP_FIRST ((size_t)1024)

bool ad__sync_id_of(struct ad_str text, struct ad__sync_id *out)
{
    char digits[32];
    size_t n = 0;
    if (!ad_str_is_uuid(text)) {
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '-') {
            digits[n++] = text.p[i];
        }
    }
    return ad_hex_decode(ad_str_n(digits, n), out->bytes, sizeof(out->bytes));
}

/* Where it is, or where it would be. There is always a free place. */
static size_t place_of(const struct ad__sync_ids *s, const struct ad__sync_id *id)
{
    size_t mask = s->cap - 1;
    size_t i = ad_hash(ad_str_n((const char *)id->bytes, sizeof(id->bytes))) & mask;
    while (s->used[i] && memcmp(&s->slots[i], id, sizeof(*id)) != 0) {
        i = (i + 1) & mask;
    }
    return i;
}

bool ad__sync_ids_has(const struct ad__sync_ids *s, const struct ad__sync_id *id)
{
    return s->n > 0 && s->used[place_of(s, id)];
}

static enum ad_err grow(struct ad__sync_ids *s)
{
    struct ad__sync_ids more = { .cap = s->cap ? 2 * s->cap : CAP_FIRST };
    more.slots = ad_alloc_array(more.cap, sizeof(*more.slots));
    more.used = ad_zalloc(more.cap * sizeof(*more.used));
    if (!more.slots || !more.used) {
        ad__sync_ids_fini(&more);
        return AD_ERR_NOMEM;
    }
    for (size_t i = 0; i < s->cap; i++) {
        if (s->used[i]) {
            size_t at = place_of(&more, &s->slots[i]);
            more.slots[at] = s->slots[i];
            more.used[at] = true;
        }
    }
    more.n = s->n;
    ad__sync_ids_fini(s);
    *s = more;
    return AD_OK;
}

enum ad_err ad__sync_ids_add(struct ad__sync_ids *s, const struct ad__sync_id *id)
{
    enum ad_err err = 2 * s->n >= s->cap ? grow(s) : AD_OK;
    if (err) {
        return err;
    }
    size_t at = place_of(s, id);
    s->n += !s->used[at];
    s->slots[at] = *id;
    s->used[at] = true;
    return AD_OK;
}

void ad__sync_ids_clear(struct ad__sync_ids *s)
{
    if (s->cap > CAP_FIRST) {
        ad__sync_ids_fini(s);
    } else if (s->n > 0) {
        memset(s->used, 0, s->cap * sizeof(*s->used));
    }
    s->n = 0;
}

void ad__sync_ids_fini(struct ad__sync_ids *s)
{
    ad_free(s->slots);
    ad_free(s->used);
    *s = (struct ad__sync_ids){ .slots = NULL };
}
