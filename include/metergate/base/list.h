/*
 * list: an intrusive doubly linked list. A node belongs to at most one list through one link; an unlinked node points
 * to itself, so unlinking twice is harmless and "is it on a list" needs no flag.
 */
#ifndef METERGATE_BASE_LIST_H
#define METERGATE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/err.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline bool list_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_unlink(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The node must be initialised; it leaves the list that it is on. */
static inline void list_push_back(struct list *head, struct list *node)
{
    list_unlink(node);
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_unlink(node); /* first: head->next may be the node itself */
    list_push_back(head->next, node);
}

/* NULL when empty. */
static inline struct list *list_first(const struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

#define LIST_ENTRY(node, type, member) MG_CONTAINER(node, type, member)

/* `node` may be unlinked inside the loop; `next_` may not. The two are names to be declared, so no parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define LIST_EACH(head, node, next_)                                                                         \
    for (struct list *node = (head)->next, *next_ = node->next; node != (head); node = next_, next_ = node->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
