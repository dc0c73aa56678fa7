/* GET /_sim/state: everything of one kind, in the order of ids, to be compared with a mirror. */
#include <stdlib.h>

#include "activity.h"
#include "sim.h"

struct cut {
    uint8_t after[16];
    bool has_after, compact;
    int64_t limit;
};

static bool is_after(const struct cut *cut, const uint8_t id[16])
{
    return !cut->has_after || memcmp(id, cut->after, sizeof(cut->after)) > 0;
}

/* --- Records and entries --- */

static int by_id(const void *a, const void *b)
{
    const struct ad_sim_record *const *x = a;
    const struct ad_sim_record *const *y = b;
    return memcmp((*x)->id, (*y)->id, sizeof((*x)->id));
}

/* What a dump under way needs, on its exchange's arena. It is a walk, not a photograph: what is
 * changed meanwhile is shown as it is when its turn comes. */
struct dump {
    struct ad_sim *sim;
    struct ad_arena *arena;
    const struct ad_sim_object *set;
    const struct ad_sim_record **all;
    size_t n, at;
    struct cut cut;
    bool some, ended;
    char *room; /* the piece on its way */
    size_t room_size;
};

#define PIECE (256u << 10)

static void put_head(const struct dump *d, struct ad_sim_pen *p)
{
    ad_sim_put(p,
               d->set->kind == AD_SIM_LIST ? AD_STR("{\"list_id\":") : AD_STR("{\"object_id\":"));
    ad_sim_put_uuid(p, d->set->id);
    AD_SIM_PUT(p, ",\"records\":[");
}

/* Renders on until the piece is large enough or all is said. */
static void put_some(struct dump *d, struct ad_buf *out)
{
    struct ad_sim_pen p;
    ad_sim_pen_init(&p, out);
    if (d->at == 0) {
        put_head(d, &p);
    }
    size_t written = 0;
    for (; d->at < d->n && d->cut.limit > 0 && written < PIECE; d->at++) {
        const struct ad_sim_record *r = d->all[d->at];
        if (r->deleted || r->merging || !is_after(&d->cut, r->id)) {
            continue;
        }
        ad_sim_put(&p, d->some ? AD_STR(",\n") : AD_STR("\n"));
        d->some = true;
        d->cut.limit--;
        ad_sim_render_state(&p, &d->sim->store, r, d->cut.compact);
        ad_sim_pen_done(&p);
        written = ad_buf_len(out);
    }
    if (d->at == d->n || d->cut.limit == 0) {
        AD_SIM_PUT(&p, "]}");
        d->ended = true;
    }
    ad_sim_pen_done(&p);
}

/* The buffer is everybody's, so the piece moves out of it. */
static struct ad_str keep_piece(struct dump *d, struct ad_str piece)
{
    if (piece.n > d->room_size) {
        d->room_size = piece.n + PIECE;
        d->room = ad_arena_alloc(d->arena, d->room_size);
        AD_ASSERT(d->room);
    }
    if (piece.p) {
        memcpy(d->room, piece.p, piece.n);
    }
    return ad_str_n(d->room, piece.n);
}

static struct ad_str next_piece(void *ctx)
{
    struct dump *d = ctx;
    if (d->ended) {
        return AD_STR_NONE;
    }
    ad_buf_clear(&d->sim->out);
    put_some(d, &d->sim->out);
    return keep_piece(d, ad_buf_str(&d->sim->out));
}

/* What fits one piece is an ordinary reply. */
static void write_set(struct ad_sim_call *c, const struct ad_sim_object *o, const struct cut *cut)
{
    struct dump *d = ad_arena_zalloc(c->arena, sizeof(*d));
    AD_ASSERT(d);
    *d = (struct dump){ .sim = c->sim, .arena = c->arena, .set = o, .n = o->n, .cut = *cut };
    d->all = ad_arena_alloc(c->arena, (o->n + 1) * sizeof(struct ad_sim_record *));
    AD_ASSERT(d->all);
    for (size_t i = 0; i < o->n; i++) {
        d->all[i] = o->sorted[i];
    }
    qsort(d->all, o->n, sizeof(struct ad_sim_record *), by_id);
    put_some(d, c->out);
    if (!d->ended) {
        d->at = 0; /* from the start again, in pieces */
        d->cut = *cut;
        d->some = false;
        c->more = next_piece;
        c->more_ctx = d;
        ad_buf_clear(c->out);
    }
}

/* --- Notes, tasks, comments, members --- */

static int by_item_id(const void *a, const void *b)
{
    const struct ad_sim_item *const *x = a;
    const struct ad_sim_item *const *y = b;
    return memcmp((*x)->id, (*y)->id, sizeof((*x)->id));
}

static void write_shelf(struct ad_sim_call *c, const struct ad_sim_shelf *shelf, struct cut *cut)
{
    struct ad_json_writer w;
    size_t size = sizeof(struct ad_sim_item *);
    const struct ad_sim_item **all = ad_arena_alloc(c->arena, (shelf->n + 1) * size);
    AD_ASSERT(all);
    for (size_t i = 0; i < shelf->n; i++) {
        all[i] = shelf->sorted[i];
    }
    qsort(all, shelf->n, size, by_item_id);
    ad_json_write_init(&w, c->out);
    ad_json_obj(&w);
    ad_json_key(&w, "records");
    ad_json_arr(&w);
    for (size_t i = 0; i < shelf->n && cut->limit > 0; i++) {
        if (is_after(cut, all[i]->id)) {
            cut->limit--;
            shelf->ops->write(&w, c->store, all[i]);
        }
    }
    ad_json_end(&w);
    ad_json_end(&w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}

/* A handful: never cut. */
static void write_members(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, c->out);
    ad_json_obj(&w);
    ad_json_key(&w, "records");
    ad_sim_members_write(&w, c->store);
    ad_json_end(&w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}

/* --- The call --- */

static bool parse_cut(struct ad_sim_call *c, struct cut *cut)
{
    struct ad_str after = ad_sim_param(c, "after");
    struct ad_str limit = ad_sim_param(c, "limit");
    cut->limit = INT64_MAX;
    cut->compact = ad_str_eq(ad_sim_param(c, "form"), AD_STR("compact"));
    cut->has_after = after.p != NULL;
    if (after.p && !ad_sim_uuid_parse(after, cut->after)) {
        ad_sim_issue(c, "uuid", "string", "after");
    }
    if (limit.p && !ad_str_i64(limit, 1, INT64_MAX, &cut->limit)) {
        ad_sim_issue(c, "number", "string", "limit");
    }
    return ad_sim_query_ok(c);
}

struct ad_sim_object *ad_sim_state_set(const struct ad_sim_store *s, struct ad_str name)
{
    struct ad_str list = AD_STR("list:");
    return ad_str_starts(name, list)
               ? ad_sim_list_find(s, ad_str_n(name.p + list.n, name.n - list.n))
               : ad_sim_object_find(s, name);
}

static void get_state(struct ad_sim_call *c)
{
    struct cut cut = { 0 };
    struct ad_str name = ad_sim_param(c, "object");
    if (!parse_cut(c, &cut)) {
        return;
    }
    const struct ad_sim_object *set = ad_sim_state_set(c->store, name);
    const struct ad_sim_shelf *shelf = ad_sim_shelf_named(c->store, name);
    if (set) {
        write_set(c, set, &cut);
    } else if (shelf) {
        write_shelf(c, shelf, &cut);
    } else if (ad_str_eq(name, AD_STR("workspace_members"))) {
        write_members(c);
    } else {
        ad_sim_missing(c, "Object with slug/ID \"%.*s\" not found.", AD_FMT(name));
    }
}

const struct ad_sim_route ad_sim_state_routes[] = {
    { AD_HTTP_GET, "/_sim/state", get_state, AD_SIM_READ, false },
    { 0, NULL, NULL, AD_SIM_READ, false },
};
