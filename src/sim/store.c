/* The store as a whole: memory, time, ids, actors; opening and closing. */
#include "activity.h"
#include "base/mem.h"
#include "store_private.h"
#include "types.h"

void *ad_sim_alloc(size_t size)
{
    void *p = ad_zalloc(size);
    AD_ASSERT(p);
    return p;
}

void *ad_sim_grow(void *p, size_t size)
{
    p = ad_resize(p, size);
    AD_ASSERT(p);
    return p;
}

char *ad_sim_copy(struct ad_str s)
{
    if (!s.p) {
        return NULL;
    }
    char *p = ad_sim_alloc(s.n + 1);
    memcpy(p, s.p, s.n);
    return p;
}

struct ad_sim_pack *ad_sim_pack_new(const struct ad_str *parts, uint32_t n)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        bytes += parts[i].p ? parts[i].n : 0;
    }
    struct ad_sim_pack *p = ad_sim_alloc(sizeof(*p) + n * sizeof(p->len[0]) + bytes);
    p->n = n;
    char *to = (char *)&p->len[n];
    for (uint32_t i = 0; i < n; i++) {
        p->len[i] = parts[i].p ? (uint32_t)parts[i].n : UINT32_MAX;
        if (parts[i].p && parts[i].n) {
            memcpy(to, parts[i].p, parts[i].n);
            to += parts[i].n;
        }
    }
    return p;
}

struct ad_str ad_sim_pack_get(const struct ad_sim_pack *p, uint32_t i)
{
    const char *at = (const char *)&p->len[p->n];
    for (uint32_t k = 0; k < i; k++) {
        at += p->len[k] == UINT32_MAX ? 0 : p->len[k];
    }
    return p->len[i] == UINT32_MAX ? AD_STR_NONE : ad_str_n(at, p->len[i]);
}

static size_t pack_size(const struct ad_sim_pack *p)
{
    size_t bytes = sizeof(*p) + p->n * sizeof(p->len[0]);
    for (uint32_t i = 0; i < p->n; i++) {
        bytes += p->len[i] == UINT32_MAX ? 0 : p->len[i];
    }
    return bytes;
}

struct ad_sim_pack *ad_sim_pack_copy(const struct ad_sim_pack *p)
{
    size_t size = pack_size(p);
    return memcpy(ad_sim_alloc(size), p, size);
}

bool ad_sim_pack_equal(const struct ad_sim_pack *a, const struct ad_sim_pack *b)
{
    size_t size = pack_size(a);
    return a->n == b->n && size == pack_size(b) && memcmp(a, b, size) == 0;
}

int64_t ad_sim_now(struct ad_sim_store *s)
{
    int64_t ns = ad_wall_ns(s->clock) / AD_NS_PER_MS * AD_NS_PER_MS;
    if (ns > s->last_ns) {
        s->last_ns = ns;
    }
    return s->last_ns;
}

void ad_sim_new_id(struct ad_rand *r, uint8_t out[16])
{
    for (unsigned half = 0; half < 2; half++) {
        uint64_t v = ad_rand_u64(r);
        memcpy(out + 8 * (size_t)half, &v, sizeof(v));
    }
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x40);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

void ad_sim_emit(struct ad_sim_store *s, const struct ad_sim_event *event)
{
    if (s->on_event) {
        s->on_event(s->on_event_ctx, event);
    }
}

struct ad_str ad__sim_text3(const char *before, const char *word, const char *after)
{
    struct ad_buf b;
    ad_buf_init(&b, 65536);
    ad_buf_put(&b, ad_str_c(before));
    ad_buf_put(&b, ad_str_c(word));
    ad_buf_put(&b, ad_str_c(after));
    size_t n = ad_buf_len(&b);
    struct ad_str s = ad_str_n(ad_sim_copy(ad_buf_str(&b)), n);
    ad_buf_fini(&b);
    return s;
}

void ad__sim_free_str(struct ad_str s)
{
    ad_free((void *)(uintptr_t)s.p);
}

static void free_graves(struct ad_sim_store *s)
{
    while (s->graves) {
        struct ad_sim_record *r = s->graves;
        s->graves = r->node.next ? ad_container_of(r->node.next, struct ad_sim_record, node) : NULL;
        ad__sim_free_record(r);
    }
}

static void set_actor(struct ad_sim_actor *a, const char *type, const uint8_t id[16])
{
    char text[37];
    a->type = type;
    a->has_id = id != NULL;
    if (!id) {
        a->json = ad__sim_text3("{\"type\":\"", type, "\",\"id\":null}");
        return;
    }
    memcpy(a->id, id, sizeof(a->id));
    ad_sim_uuid_text(id, text);
    struct ad_str head = ad__sim_text3("{\"type\":\"", type, "\",\"id\":\"");
    a->json = ad__sim_text3(head.p, text, "\"}");
    ad__sim_free_str(head);
}

struct ad_sim_member *ad_sim_member_add(struct ad_sim_store *s, struct ad_str first,
                                        struct ad_str last, struct ad_str email, const char *level)
{
    if (s->members_n == AD_SIM_MEMBERS_MAX) {
        return NULL;
    }
    struct ad_sim_member *m = &s->members[s->members_n];
    ad_sim_new_id(&s->rand, m->id);
    m->first = ad_sim_copy(first);
    m->last = ad_sim_copy(last);
    m->email = ad_sim_copy(email);
    m->level = level;
    m->created_ns = ad_sim_now(s);
    m->actor = (uint8_t)(AD_SIM_ACTOR_MEMBERS + s->members_n++);
    set_actor(&s->actors[m->actor], "workspace-member", m->id);
    return m;
}

const struct ad_sim_member *ad_sim_member_find(const struct ad_sim_store *s, struct ad_str ref)
{
    uint8_t id[16];
    bool is_id = ad_sim_uuid_parse(ref, id);
    for (size_t i = 0; i < s->members_n; i++) {
        const struct ad_sim_member *m = &s->members[i];
        if (is_id ? memcmp(id, m->id, sizeof(id)) == 0
                  : ad_str_eq_nocase(ref, ad_str_c(m->email))) {
            return m;
        }
    }
    return NULL;
}

void ad_sim_store_init(struct ad_sim_store *s, const struct ad_clock *clock, uint64_t seed,
                       const char *slug)
{
    memset(s, 0, sizeof(*s));
    s->clock = clock;
    s->slug = ad_sim_copy(ad_str_c(slug));
    s->name = ad_sim_copy(AD_STR("Simulated workspace"));
    ad_map_init(&s->listed);
    ad_rand_seed(&s->rand, seed);
    ad_sim_new_id(&s->rand, s->workspace_id);
    uint8_t id[16];
    set_actor(&s->actors[AD_SIM_ACTOR_SYSTEM], "system", NULL);
    ad_sim_new_id(&s->rand, id);
    set_actor(&s->actors[AD_SIM_ACTOR_TOKEN], "api-token", id);
    for (size_t i = 0; i < AD_SIM_MEMBERS; i++) {
        AD_IGNORE(!ad_sim_member_add(s, AD_STR_NONE, AD_STR_NONE, AD_STR_NONE, NULL),
                  "room enough");
    }
    s->activity = ad_sim_activity_new(seed);
}

void ad_sim_store_fini(struct ad_sim_store *s)
{
    ad__sim_shadow_fini(s);
    ad_sim_activity_free(s->activity);
    for (size_t i = 0; i < s->merging_n; i++) {
        ad__sim_place_by_time(s->merging[i].record->object, s->merging[i].record);
    }
    ad_free(s->merging);
    free_graves(s);
    ad_sim_listed_fini(s);
    for (size_t i = 0; i < s->objects_n; i++) {
        ad__sim_set_free(s->objects[i]);
    }
    for (size_t i = 0; i < s->lists_n; i++) {
        ad__sim_set_free(s->lists[i]);
    }
    for (size_t i = 0; i < AD_SIM_ACTORS; i++) {
        ad__sim_free_str(s->actors[i].json);
    }
    for (size_t i = 0; i < s->members_n; i++) {
        ad_free(s->members[i].first);
        ad_free(s->members[i].last);
        ad_free(s->members[i].email);
    }
    ad_free(s->objects);
    for (size_t i = 0; i < s->gone_n; i++) {
        ad__sim_set_free(s->gone[i]);
    }
    ad_free(s->lists);
    ad_free(s->gone);
    ad_free(s->slug);
    ad_free(s->name);
}
