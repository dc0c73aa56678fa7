#include "random.h"

#include <stdio.h>

#include "base/mem.h"
#include "types.h"

#define DAY_NS (86400 * AD_NS_PER_S)

static const char *const phrases[] = {
    "Waits for the offer",       "Asked for a second round",
    "Said \"maybe\", as ever",   "Two lines:\nthis is the second",
    "Grüße aus der Nähe – € 12", "**Bold** words and a list\n* one\n* two",
};

static bool chance(struct ad_rand *rand, unsigned percent)
{
    return ad_rand_below(rand, 100) < percent;
}

static struct ad_str phrase(struct ad_rand *rand, char room[128])
{
    int n = snprintf(room, 128, "%s (%u)", phrases[ad_rand_below(rand, AD_LEN(phrases))],
                     (unsigned)ad_rand_below(rand, 1000000));
    return ad_str_n(room, (size_t)n);
}

static uint8_t member(const struct ad_sim_store *s, struct ad_rand *rand)
{
    return (uint8_t)(AD_SIM_ACTOR_MEMBERS + ad_rand_below(rand, s->members_n));
}

/* --- Values by type --- */

static struct ad_sim_record *target_of(const struct ad_sim_store *s, const struct ad_sim_attr *a,
                                       struct ad_rand *rand)
{
    const struct ad_sim_object *o = a->allowed_n > 0
                                        ? a->allowed[ad_rand_below(rand, a->allowed_n)]
                                        : s->objects[ad_rand_below(rand, s->objects_n)];
    return o->n ? o->sorted[ad_rand_below(rand, o->n)] : NULL;
}

/* Numbers of the types that are nothing else. */
static bool whole(const struct ad_sim_store *s, enum ad_sim_type_id type, struct ad_rand *rand,
                  int64_t *out)
{
    switch (type) {
    case AD_SIM_NUMBER:
    case AD_SIM_CURRENCY:
        *out = (int64_t)ad_rand_below(rand, 1000000000) * 25;
        return true;
    case AD_SIM_CHECKBOX:
        *out = (int64_t)ad_rand_below(rand, 2);
        return true;
    case AD_SIM_RATING:
        *out = (int64_t)ad_rand_below(rand, 6);
        return true;
    case AD_SIM_DATE:
        *out = 18000 + (int64_t)ad_rand_below(rand, 4000);
        return true;
    case AD_SIM_TIMESTAMP:
        *out =
            s->members[0].created_ns + (int64_t)ad_rand_below(rand, 2000000) * 1000 * AD_NS_PER_MS;
        return true;
    default:
        return false;
    }
}

static struct ad_sim_value address(enum ad_sim_type_id type, struct ad_rand *rand, char room[128])
{
    unsigned n = (unsigned)ad_rand_below(rand, 10000000);
    const char *shape = type == AD_SIM_EMAIL ? "post" : "";
    AD_IGNORE(type == AD_SIM_PHONE
                  ? snprintf(room, 128, "+1555%07u", n) < 0
                  : snprintf(room, 128, "%s%s%u.example", shape, *shape ? "@n" : "n", n) < 0,
              "fits");
    struct ad_str s = ad_str_c(room);
    return type == AD_SIM_EMAIL   ? ad_sim_make_email(s)
           : type == AD_SIM_PHONE ? ad_sim_make_phone(s, s, "US")
                                  : ad_sim_make_text(AD_SIM_DOMAIN, s);
}

/* One value of the attribute's type; false: this type cannot be made up, or nothing is there to
 * choose from. */
static bool make_value(const struct ad_sim_store *s, const struct ad_sim_attr *a,
                       struct ad_rand *rand, struct ad_sim_value *v)
{
    char room[128];
    *v = (struct ad_sim_value){ .attr = a->place, .type = (uint8_t)a->type };
    switch (a->type) {
    case AD_SIM_TEXT:
        *v = ad_sim_make_text(AD_SIM_TEXT, phrase(rand, room));
        v->attr = a->place;
        return true;
    case AD_SIM_EMAIL:
    case AD_SIM_DOMAIN:
    case AD_SIM_PHONE:
        *v = address(a->type, rand, room);
        v->attr = a->place;
        return true;
    case AD_SIM_STATUS:
    case AD_SIM_SELECT:
        v->u.option = a->options_n ? a->options[ad_rand_below(rand, a->options_n)] : NULL;
        return v->u.option && !v->u.option->archived;
    case AD_SIM_ACTOR:
        v->aux = member(s, rand);
        return true;
    case AD_SIM_REFERENCE:
        v->u.record = target_of(s, a, rand);
        return v->u.record != NULL;
    default:
        return whole(s, a->type, rand, &v->u.i);
    }
}

static bool is_taken(const struct ad_sim_attr *a, const struct ad_sim_value *v)
{
    struct ad_sim_key room;
    return a->unique && ad_sim_unique_find(a, ad_sim_value_unique(v, &room));
}

static bool has_equal(const struct ad_sim_draft *d, const struct ad_sim_value *v)
{
    for (size_t i = 0; i < d->n; i++) {
        if (ad_sim_value_equal(&d->values[i], v)) {
            return true;
        }
    }
    return false;
}

static bool can_change(const struct ad_sim_attr *a)
{
    return a->writable && !a->archived && !a->hidden && a->made == AD_SIM_STORED;
}

static void fill_draft(const struct ad_sim_store *s, struct ad_sim_attr *a, struct ad_rand *rand,
                       struct ad_sim_draft *d)
{
    size_t wanted = a->multi ? 1 + ad_rand_below(rand, 3) : 1;
    *d = (struct ad_sim_draft){ .attr = a };
    for (size_t i = 0; i < wanted; i++) {
        struct ad_sim_value v;
        if (!make_value(s, a, rand, &v)) {
            continue;
        }
        if (is_taken(a, &v) || has_equal(d, &v)) {
            ad_sim_value_free(&v);
        } else {
            ad_sim_draft_add(d, v);
        }
    }
}

struct ad_sim_draft *ad_sim_random_drafts(struct ad_sim_store *s, const struct ad_sim_object *set,
                                          struct ad_rand *rand, unsigned percent, size_t *n)
{
    struct ad_sim_draft *drafts = ad_sim_alloc((set->attrs_n + 1) * sizeof(*drafts));
    *n = 0;
    for (size_t i = 0; i < set->attrs_n; i++) {
        struct ad_sim_attr *a = set->attrs[i];
        if (can_change(a) && (a->required || chance(rand, percent))) {
            fill_draft(s, a, rand, &drafts[*n]);
            *n += drafts[*n].n > 0;
        }
    }
    return drafts;
}

/* --- Records and entries --- */

struct ad_sim_record *ad_sim_random_put(struct ad_sim_store *s, struct ad_sim_object *set,
                                        struct ad_rand *rand)
{
    size_t n = 0;
    struct ad_sim_record *r = NULL;
    struct ad_sim_record *parent = NULL;
    bool list = set->kind == AD_SIM_LIST;
    if (list) {
        parent = set->parent->n ? set->parent->sorted[ad_rand_below(rand, set->parent->n)] : NULL;
    }
    if (set->gone || (list && !parent)) {
        return NULL;
    }
    struct ad_sim_draft *drafts = ad_sim_random_drafts(s, set, rand, 70, &n);
    uint8_t actor = member(s, rand);
    r = list ? &ad_sim_entry_create(s, set, parent, drafts, n, actor)->record
             : ad_sim_record_create(s, set, drafts, n, actor);
    ad_free(drafts);
    return r;
}

bool ad_sim_random_change(struct ad_sim_store *s, struct ad_sim_record *r, struct ad_rand *rand)
{
    struct ad_sim_object *set = r->object;
    struct ad_sim_attr *a = set->attrs[ad_rand_below(rand, set->attrs_n)];
    struct ad_sim_draft d = { 0 };
    if (!can_change(a) || a->partner) {
        return false;
    }
    fill_draft(s, a, rand, &d);
    if (d.n == 0) {
        return false;
    }
    return ad_sim_record_write(s, r, &d, 1, member(s, rand)) > 0;
}

struct ad_sim_record *ad_sim_random_record(const struct ad_sim_store *s, struct ad_rand *rand)
{
    size_t total = 0;
    for (size_t i = 0; i < s->objects_n; i++) {
        total += s->objects[i]->n;
    }
    size_t at = total ? ad_rand_below(rand, total) : 0;
    for (size_t i = 0; i < s->objects_n && total; i++) {
        if (at < s->objects[i]->n) {
            return s->objects[i]->sorted[at];
        }
        at -= s->objects[i]->n;
    }
    return NULL;
}

/* --- Notes --- */

static bool add_note(struct ad_sim_store *s, struct ad_rand *rand, int64_t created_ns)
{
    char title[128];
    char content[128];
    struct ad_sim_record *r = ad_sim_random_record(s, rand);
    if (r) {
        bool markdown = chance(rand, 50);
        struct ad_str t = phrase(rand, title);
        struct ad_str c = phrase(rand, content);
        AD_IGNORE(!ad_sim_note_add(s, r, t, c, markdown, created_ns, member(s, rand)), "made");
    }
    return r != NULL;
}

static bool touch_note(struct ad_sim_store *s, struct ad_sim_item *item, struct ad_rand *rand)
{
    char room[128];
    struct ad_sim_note *note = (struct ad_sim_note *)item;
    struct ad_str text = phrase(rand, room);
    bool title = chance(rand, 30);
    return ad_sim_note_change(s, note, title ? text : AD_STR_NONE, title ? AD_STR_NONE : text,
                              note->markdown, member(s, rand));
}

/* --- Tasks --- */

static bool add_task(struct ad_sim_store *s, struct ad_rand *rand, int64_t created_ns)
{
    char room[128];
    struct ad_sim_task as = { .item.created_ns = created_ns, .deadline_ns = INT64_MIN };
    struct ad_sim_record *r = chance(rand, 80) ? ad_sim_random_record(s, rand) : NULL;
    if (chance(rand, 60)) {
        as.deadline_ns = created_ns + (int64_t)ad_rand_below(rand, 60) * DAY_NS;
    }
    if (r) {
        as.links = ad_sim_alloc(sizeof(struct ad_sim_record *));
        as.links[as.links_n++] = r;
    }
    if (chance(rand, 70)) {
        as.assignees[as.assignees_n++] = member(s, rand);
    }
    as.completed = chance(rand, 30);
    as.completed_ns = as.completed ? created_ns : 0;
    as.actor = member(s, rand);
    return ad_sim_task_add(s, &as, phrase(rand, room)) != NULL;
}

static bool touch_task(struct ad_sim_store *s, struct ad_sim_item *item, struct ad_rand *rand)
{
    struct ad_sim_task as = *(struct ad_sim_task *)item;
    if (chance(rand, 50)) {
        as.completed = !as.completed;
    } else if (chance(rand, 50)) {
        as.deadline_ns =
            ad_sim_now(s) / DAY_NS * DAY_NS + (int64_t)ad_rand_below(rand, 90) * DAY_NS;
    } else {
        as.assignees_n = 1;
        as.assignees[0] = member(s, rand);
    }
    return ad_sim_task_change(s, (struct ad_sim_task *)item, &as, member(s, rand));
}

/* --- Comments --- */

static struct ad_sim_record *place_for_comment(const struct ad_sim_store *s, struct ad_rand *rand)
{
    const struct ad_sim_object *list =
        s->lists_n && chance(rand, 30) ? s->lists[ad_rand_below(rand, s->lists_n)] : NULL;
    return list && list->n ? list->sorted[ad_rand_below(rand, list->n)]
                           : ad_sim_random_record(s, rand);
}

static bool add_comment(struct ad_sim_store *s, struct ad_rand *rand, int64_t created_ns)
{
    char room[128];
    const struct ad_sim_shelf *shelf = ad_sim_shelf(s, AD_SIM_COMMENTS);
    struct ad_sim_comment *head = NULL;
    if (shelf->n && chance(rand, 40)) {
        head = ((struct ad_sim_comment *)shelf->sorted[ad_rand_below(rand, shelf->n)])->head;
    }
    struct ad_sim_record *on = head ? NULL : place_for_comment(s, rand);
    if (head || on) {
        struct ad_str text = phrase(rand, room);
        AD_IGNORE(!ad_sim_comment_add(s, head, on, text, created_ns, member(s, rand)), "made");
    }
    return head || on;
}

static bool touch_comment(struct ad_sim_store *s, struct ad_sim_item *item, struct ad_rand *rand)
{
    struct ad_sim_comment *comment = (struct ad_sim_comment *)item;
    return ad_sim_comment_resolve(s, comment, !comment->resolved_ns, member(s, rand));
}

/* --- Any of them --- */

static const struct {
    bool (*add)(struct ad_sim_store *s, struct ad_rand *rand, int64_t created_ns);
    bool (*touch)(struct ad_sim_store *s, struct ad_sim_item *item, struct ad_rand *rand);
} kinds[AD_SIM_SHELVES] = {
    [AD_SIM_NOTES] = { add_note, touch_note },
    [AD_SIM_TASKS] = { add_task, touch_task },
    [AD_SIM_COMMENTS] = { add_comment, touch_comment },
};

static size_t kind_of(const struct ad_sim_store *s, const struct ad_sim_shelf *shelf)
{
    return (size_t)(shelf - s->activity->shelves);
}

bool ad_sim_random_add(struct ad_sim_store *s, struct ad_sim_shelf *shelf, struct ad_rand *rand,
                       int64_t created_ns)
{
    return kinds[kind_of(s, shelf)].add(s, rand, created_ns);
}

bool ad_sim_random_touch(struct ad_sim_store *s, struct ad_sim_shelf *shelf, struct ad_rand *rand)
{
    return shelf->n > 0 &&
           kinds[kind_of(s, shelf)].touch(s, shelf->sorted[ad_rand_below(rand, shelf->n)], rand);
}

bool ad_sim_random_remove(struct ad_sim_store *s, struct ad_sim_shelf *shelf, struct ad_rand *rand)
{
    if (shelf->n == 0) {
        return false;
    }
    shelf->ops->remove(s, shelf->sorted[ad_rand_below(rand, shelf->n)], member(s, rand));
    return true;
}
