/* Intrusive doubly linked list: a ring with a head. Never allocates.
 *
 *   struct job { struct ad_list link; };
 *   struct ad_list jobs;  ad_list_init(&jobs);  ad_list_push(&jobs, &job->link);
 *   AD_LIST_FOREACH(it, &jobs) { struct job *j = ad_container_of(it, struct job, link); ... }
 *
 * AD_LIST_FOREACH must not remove; AD_LIST_FOREACH_SAFE may remove the current element. */
#ifndef AD_BASE_LIST_H
#define AD_BASE_LIST_H

#include <stdbool.h>

#include "base/attr.h"

struct ad_list {
    struct ad_list *prev, *next;
};

static inline void ad_list_init(struct ad_list *l)
{
    l->prev = l->next = l;
}

static inline bool ad_list_empty(const struct ad_list *head)
{
    return head->next == head;
}

static inline void ad__list_insert(struct ad_list *before, struct ad_list *l)
{
    l->prev = before->prev;
    l->next = before;
    before->prev->next = l;
    before->prev = l;
}

/* Appends at the end / at the front. */
static inline void ad_list_push(struct ad_list *head, struct ad_list *l)
{
    ad__list_insert(head, l);
}

static inline void ad_list_push_front(struct ad_list *head, struct ad_list *l)
{
    ad__list_insert(head->next, l);
}

/* Takes `l` out and leaves it an empty ring, so removing twice is harmless. */
static inline void ad_list_remove(struct ad_list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    ad_list_init(l);
}

/* True while `l` (initialised once) is on some list. */
static inline bool ad_list_linked(const struct ad_list *l)
{
    return l->next != l;
}

/* First element taken out, or NULL. */
static inline struct ad_list *ad_list_pop(struct ad_list *head)
{
    if (ad_list_empty(head)) {
        return NULL;
    }
    struct ad_list *l = head->next;
    ad_list_remove(l);
    return l;
}

/* Moves all elements of `from` to the end of `to`; `from` is empty afterwards. */
static inline void ad_list_move(struct ad_list *to, struct ad_list *from)
{
    if (ad_list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    ad_list_init(from);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared takes none */
#define AD_LIST_FOREACH(it, head) \
    for (struct ad_list *it = (head)->next; it != (head); it = it->next)
#define AD_LIST_FOREACH_SAFE(it, head)                                           \
    for (struct ad_list *it = (head)->next, *it##_next = it->next; it != (head); \
         it = it##_next, it##_next = it->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
