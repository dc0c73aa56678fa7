/* Records as they were before a change: what stale reads see. */
#include "base/mem.h"
#include "store_private.h"
#include "types.h"

static struct ad_sim_record *clone(const struct ad_sim_record *r)
{
    bool entry = ad_sim_is_entry(r);
    struct ad_sim_record *c = ad_sim_alloc(entry ? sizeof(struct ad_sim_entry) : sizeof(*c));
    memcpy(c, r, entry ? sizeof(struct ad_sim_entry) : sizeof(*c));
    c->past = NULL;
    c->cap = r->n;
    c->values = ad_sim_alloc(r->n * sizeof(c->values[0]) + 1);
    for (uint32_t i = 0; i < r->n; i++) {
        c->values[i] = ad_sim_value_copy(&r->values[i]);
    }
    return c;
}

static void shadow_free(struct ad_sim_shadow *shadow)
{
    if (shadow->was) {
        ad__sim_free_values(shadow->was);
        ad_free(shadow->was);
    }
    *shadow = (struct ad_sim_shadow){ NULL, NULL, 0 };
}

void ad__sim_shadow(struct ad_sim_store *s, struct ad_sim_record *r, bool existed)
{
    if (!s->shadowing) {
        return;
    }
    struct ad_sim_shadow *slot = &s->shadows[s->shadows_n++ % AD_SIM_SHADOWS];
    shadow_free(slot);
    *slot = (struct ad_sim_shadow){ r, existed ? clone(r) : NULL, ad_mono_ms(s->clock) };
}

const struct ad_sim_record *ad_sim_record_was(const struct ad_sim_store *s,
                                              const struct ad_sim_record *r, uint64_t since_ms)
{
    size_t from = s->shadows_n > AD_SIM_SHADOWS ? s->shadows_n - AD_SIM_SHADOWS : 0;
    for (size_t i = from; i < s->shadows_n; i++) {
        const struct ad_sim_shadow *shadow = &s->shadows[i % AD_SIM_SHADOWS];
        if (shadow->record == r && shadow->at_ms >= since_ms) {
            return shadow->was;
        }
    }
    return r;
}

const struct ad_sim_record *ad_sim_deleted_was(const struct ad_sim_store *s,
                                               const struct ad_sim_object *o, const uint8_t id[16],
                                               uint64_t since_ms)
{
    size_t from = s->shadows_n > AD_SIM_SHADOWS ? s->shadows_n - AD_SIM_SHADOWS : 0;
    for (size_t i = from; i < s->shadows_n; i++) {
        const struct ad_sim_record *was = s->shadows[i % AD_SIM_SHADOWS].was;
        if (was && was->object == o && memcmp(was->id, id, 16) == 0 &&
            s->shadows[i % AD_SIM_SHADOWS].at_ms >= since_ms) {
            return was;
        }
    }
    return NULL;
}

void ad__sim_shadow_fini(struct ad_sim_store *s)
{
    for (size_t i = 0; i < AD_SIM_SHADOWS; i++) {
        shadow_free(&s->shadows[i]);
    }
}
