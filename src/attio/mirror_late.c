/* What unchanged answers showed. Their rows keep an older version, so that a late answer would not
 * be refused by SQL: it is held against this. */
#include "attio/mirror.h"

#include "base/mem.h"
#include "mirror_apply_private.h"

/* Records that an answer showed unchanged. */
struct ad_unchanged {
    struct ad_list link; /* table->unchanged */
    struct ad_list aged; /* mirror->unchanged */
    struct ad_mirror_table *table;
    int64_t version, accurate_ns;
    uint64_t at_ms;
    size_t n;
    uint8_t ids[][16];
};

static void uuid_bytes(struct ad_str uuid, uint8_t out[16])
{
    char digits[32];
    size_t n = 0;
    for (size_t i = 0; i < uuid.n && n < sizeof(digits); i++) {
        if (uuid.p[i] != '-') {
            digits[n++] = uuid.p[i];
        }
    }
    if (!ad_hex_decode(ad_str_n(digits, n), out, 16)) {
        memset(out, 0, 16); /* it was checked: not reached */
    }
}

static bool unchanged_has(const struct ad_unchanged *u, const uint8_t id[16])
{
    for (size_t i = 0; i < u->n; i++) {
        if (memcmp(u->ids[i], id, 16) == 0) {
            return true;
        }
    }
    return false;
}

/* Answers mostly come in order: then nothing is searched. */
enum fate ad__late_fate(const struct ad_mirror_table *t, const struct ad_mirror_op *op,
                        struct ad_str id)
{
    int64_t version = op->version;
    int64_t accurate = op->accurate_ns;
    if (version > t->unchanged_version && (accurate == 0 || accurate >= t->unchanged_accurate_ns)) {
        return FATE_UPDATED;
    }
    enum fate fate = FATE_UPDATED;
    uint8_t bytes[16];
    uuid_bytes(id, bytes);
    AD_LIST_FOREACH (l, &t->unchanged) {
        const struct ad_unchanged *u = ad_container_of(l, struct ad_unchanged, link);
        bool later = u->version > version || (accurate != 0 && u->accurate_ns > accurate);
        if (later && unchanged_has(u, bytes)) {
            fate = u->version > version ? FATE_STALE : FATE_BEHIND;
        }
        if (fate == FATE_STALE) {
            break;
        }
    }
    return fate;
}

bool ad__late_refuses(const struct ad_mirror_table *t, const struct ad_mirror_op *op)
{
    return op->version < t->forgotten_version ||
           (op->accurate_ns != 0 && op->accurate_ns < t->forgotten_accurate_ns);
}

static int64_t higher(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void forget(struct ad_mirror *m, struct ad_unchanged *u, bool early)
{
    struct ad_mirror_table *t = u->table;
    if (early) {
        t->forgotten_version = higher(t->forgotten_version, u->version);
        t->forgotten_accurate_ns = higher(t->forgotten_accurate_ns, u->accurate_ns);
    }
    ad_list_remove(&u->link);
    ad_list_remove(&u->aged);
    m->unchanged_n -= u->n;
    ad_free(u);
    if (ad_list_empty(&t->unchanged)) {
        t->unchanged_version = t->unchanged_accurate_ns = 0;
    }
}

void ad__late_forget(struct ad_mirror_table *t)
{
    while (!ad_list_empty(&t->unchanged)) {
        forget(t->mirror, ad_container_of(t->unchanged.next, struct ad_unchanged, link), false);
    }
}

/* Of all tables. */
static void forget_old(struct ad_mirror *m)
{
    uint64_t now = ad_mono_ms(m->o.clock);
    while (!ad_list_empty(&m->unchanged)) {
        struct ad_unchanged *u = ad_container_of(m->unchanged.next, struct ad_unchanged, aged);
        bool old = now - u->at_ms >= m->o.late_ms;
        if (!old && m->unchanged_n <= m->o.unchanged_max) {
            return;
        }
        forget(m, u, !old);
    }
}

enum ad_err ad__late_remember(struct ad_mirror_table *t, const struct ad_mirror_op *op,
                              const struct ref *refs, size_t n)
{
    size_t unchanged = 0;
    for (size_t i = 0; i < n; i++) {
        unchanged += refs[i].fate == FATE_UNCHANGED;
    }
    forget_old(t->mirror);
    if (unchanged == 0) {
        return AD_OK;
    }
    struct ad_unchanged *u = ad_alloc(sizeof(*u) + unchanged * sizeof(u->ids[0]));
    if (!u) {
        return AD_ERR_NOMEM;
    }
    u->table = t;
    u->version = op->version;
    u->accurate_ns = op->accurate_ns;
    u->at_ms = ad_mono_ms(t->mirror->o.clock);
    u->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (refs[i].fate == FATE_UNCHANGED) {
            uuid_bytes(refs[i].id, u->ids[u->n++]);
        }
    }
    ad_list_push(&t->unchanged, &u->link);
    ad_list_push(&t->mirror->unchanged, &u->aged);
    t->mirror->unchanged_n += u->n;
    t->unchanged_version = higher(t->unchanged_version, u->version);
    t->unchanged_accurate_ns = higher(t->unchanged_accurate_ns, u->accurate_ns);
    return AD_OK;
}
