/* The hub of a loop: shared read buffer and the end-of-turn list.
 *
 * Output written during a turn is collected and sent when the turn ends, by an idle handle: libuv
 * runs it before the next poll and does not block in a poll while one is active, so nothing is ever
 * left behind. What this does not do: sending (stream.c). */
#include "net/net_int.h"

#include <signal.h>
#include <stdlib.h>

static void hub_on_idle(uv_idle_t *idle)
{
    struct net_hub *h = idle->data;
    struct list turn;

    list_init(&turn);
    while (!list_empty(&h->dirty)) {
        struct list *node = h->dirty.next;
        list_remove(node);
        list_push(&turn, node);
    }
    /* A callback may close or touch any stream: the former takes it off this list, the latter puts
     * it on the next turn's. So take from the front until none is left. */
    while (!list_empty(&turn)) {
        struct list *node = turn.next;
        list_remove(node);
        stream_turn(CONTAINER_OF(node, struct net_stream, dirty));
    }
    if (list_empty(&h->dirty))
        (void)uv_idle_stop(&h->idle);
}

static void find_hub(uv_handle_t *handle, void *arg)
{
    struct net_hub **ret = arg;

    if (handle->type == UV_IDLE && !uv_is_closing(handle) &&
        ((const uv_idle_t *)handle)->idle_cb == hub_on_idle)
        *ret = handle->data;
}

/* A peer that resets must be an error of write, not the end of the process. */
static void ignore_sigpipe(void)
{
    struct sigaction old;
    const struct sigaction ignore = { .sa_handler = SIG_IGN };

    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        (void)sigaction(SIGPIPE, &ignore, NULL);
}

struct net_hub *hub_get(struct loop *l)
{
    struct net_hub *h = NULL;

    uv_walk(loop_uv(l), find_hub, &h);
    if (h)
        return hub_ref(h);
    h = malloc(sizeof *h);
    if (!h)
        return NULL;
    if (uv_idle_init(loop_uv(l), &h->idle) != 0) {
        free(h);
        return NULL;
    }
    ignore_sigpipe();
    h->idle.data = h;
    h->loop = l;
    h->refs = 1;
    list_init(&h->dirty);
    /* Leaves the callback in the handle, which is how find_hub knows it. */
    (void)uv_idle_start(&h->idle, hub_on_idle);
    (void)uv_idle_stop(&h->idle);
    return h;
}

struct net_hub *hub_ref(struct net_hub *h)
{
    h->refs++;
    return h;
}

static void hub_on_close(uv_handle_t *handle)
{
    free(handle->data);
}

void hub_unref(struct net_hub *h)
{
    if (--h->refs == 0)
        uv_close((uv_handle_t *)&h->idle, hub_on_close);
}

void hub_touch(struct net_hub *h, struct net_stream *s)
{
    if (!list_empty(&s->dirty) || s->closing)
        return;
    if (list_empty(&h->dirty))
        (void)uv_idle_start(&h->idle, hub_on_idle);
    list_push(&h->dirty, &s->dirty);
}
