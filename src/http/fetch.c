/* Outbound HTTP by libcurl's multi interface: curl says which sockets and which timer it wants, the
 * loop watches them. Waiting calls queue here, so that a burst of web hooks does not open a
 * thousand connections. Only http and https, also after redirects; never .netrc. */
#include "http/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <uv.h>

#include "base/list.h"

#define FETCH_REDIRECTS   32L
#define FETCH_REPLY_MAX   (1024u * 1024)
#define FETCH_HEAD_MAX    (256u * 1024)
#define FETCH_TIMEOUT     (30 * USEC_SEC)
#define FETCH_HEADERS_MAX 200u

struct fetcher {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer *timer;
    char *user_agent;
    struct list running;
    struct list waiting;
    size_t n_running;
    size_t n_waiting;
    bool freeing;
};

struct fetch {
    struct list link;
    struct fetcher *fetcher;
    CURL *easy;
    struct curl_slist *headers;
    FetchFn fn;
    void *arg;
    char *body;
    struct buf head;
    struct buf reply;
    bool too_big;
    char text[CURL_ERROR_SIZE];
};

/* A socket curl cares about. */
struct watch {
    uv_poll_t poll;
    struct fetcher *fetcher;
    curl_socket_t fd;
};

static void fetch_free(struct fetch *f)
{
    if (f->easy)
        curl_easy_cleanup(f->easy);
    curl_slist_free_all(f->headers);
    free(f->body);
    buf_done(&f->head);
    buf_done(&f->reply);
    free(f);
}

/* ---- results ---- */

static Status status_from_curl(const struct fetch *f, CURLcode code)
{
    if (f->too_big)
        return STATUS_TOO_BIG;
    switch (code) {
    case CURLE_OK:
        return STATUS_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return STATUS_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return STATUS_MISSING;
    case CURLE_COULDNT_CONNECT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return STATUS_CLOSED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return STATUS_INVALID;
    case CURLE_PEER_FAILED_VERIFICATION:
        return STATUS_DENIED;
    case CURLE_OUT_OF_MEMORY:
        return STATUS_NOMEM;
    default:
        return STATUS_IO;
    }
}

static double info_sec(CURL *easy, CURLINFO what)
{
    curl_off_t usec = 0;

    (void)curl_easy_getinfo(easy, what, &usec);
    return (double)usec / 1e6;
}

static void fetch_over(struct fetch *f, CURLcode code, bool cancelled)
{
    struct fetch_result res = {
        .status = cancelled ? STATUS_CLOSED : status_from_curl(f, code),
        .headers = buf_str(&f->head),
        .body = buf_str(&f->reply),
        .total_sec = info_sec(f->easy, CURLINFO_TOTAL_TIME_T),
        .dns_sec = info_sec(f->easy, CURLINFO_NAMELOOKUP_TIME_T),
        .connect_sec = info_sec(f->easy, CURLINFO_CONNECT_TIME_T),
        .tls_sec = info_sec(f->easy, CURLINFO_APPCONNECT_TIME_T),
        .first_byte_sec = info_sec(f->easy, CURLINFO_STARTTRANSFER_TIME_T),
    };
    long http = 0;

    (void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &http);
    res.code = (int)http;
    if (res.status)
        (void)err_set(&res.err, res.status, NULL, "%s",
                      cancelled    ? "cancelled"
                      : f->too_big ? "the reply is too big"
                      : f->text[0] ? f->text
                                   : curl_easy_strerror(code));
    list_remove(&f->link);
    f->fn(f->arg, &res);
    fetch_free(f);
}

static void start_waiting(struct fetcher *x)
{
    while (!x->freeing && x->n_running < FETCH_RUNNING_MAX && !list_empty(&x->waiting)) {
        struct fetch *f = CONTAINER_OF(x->waiting.next, struct fetch, link);
        list_remove(&f->link);
        x->n_waiting--;
        if (curl_multi_add_handle(x->multi, f->easy) != CURLM_OK) {
            fetch_over(f, CURLE_OUT_OF_MEMORY, false);
            continue;
        }
        list_push(&x->running, &f->link);
        x->n_running++;
    }
}

static void collect(struct fetcher *x)
{
    CURLMsg *m;
    int left;

    for (m = curl_multi_info_read(x->multi, &left); m; m = curl_multi_info_read(x->multi, &left)) {
        struct fetch *f = NULL;
        const CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&f);
        (void)curl_multi_remove_handle(x->multi, m->easy_handle);
        x->n_running--;
        fetch_over(f, code, false);
    }
    start_waiting(x);
}

/* ---- curl's wishes ---- */

static void on_ready(uv_poll_t *poll, int status, int events)
{
    const struct watch *w = poll->data;
    struct fetcher *x = w->fetcher;
    int flags = 0;
    int running;

    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    (void)curl_multi_socket_action(x->multi, w->fd, flags, &running);
    collect(x);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct fetcher *x = arg;
    struct watch *w = known;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            (void)uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        }
        (void)curl_multi_assign(x->multi, fd, NULL);
        return 0;
    }
    if (!w) {
        w = malloc(sizeof *w);
        if (!w)
            return -1;
        if (uv_poll_init_socket(loop_uv(x->loop), &w->poll, fd) != 0) {
            free(w);
            return -1;
        }
        w->poll.data = w;
        w->fetcher = x;
        w->fd = fd;
        (void)curl_multi_assign(x->multi, fd, w);
    }
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    return uv_poll_start(&w->poll, events, on_ready) == 0 ? 0 : -1;
}

static void on_timer(void *arg)
{
    struct fetcher *x = arg;
    int running;

    (void)curl_multi_socket_action(x->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(x);
}

static int on_timeout_wish(CURLM *multi, long timeout_ms, void *arg)
{
    struct fetcher *x = arg;

    (void)multi;
    if (x->freeing)
        return 0;
    if (timeout_ms < 0)
        loop_timer_stop(x->timer);
    else
        loop_timer_start(x->timer, timeout_ms * USEC_MSEC, 0);
    return 0;
}

static size_t on_head(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    const size_t bytes = size * n;

    if (bytes > 5 && memcmp(p, "HTTP/", 5) == 0)
        buf_clear(&f->head); /* of the last reply only */
    if (buf_add(&f->head, p, bytes)) {
        f->too_big = true;
        return 0;
    }
    return bytes;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    const size_t bytes = size * n;

    if (buf_add(&f->reply, p, bytes)) {
        f->too_big = true;
        return 0;
    }
    return bytes;
}

/* ---- starting ---- */

struct fetcher *fetcher_new(struct loop *l, const char *user_agent, struct err *err)
{
    struct fetcher *x = calloc(1, sizeof *x);

    if (!x || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(x);
        (void)err_set(err, STATUS_NOMEM, NULL, "out of memory");
        return NULL;
    }
    x->loop = l;
    x->multi = curl_multi_init();
    x->timer = loop_timer_new(l, "fetch.timer", on_timer, x);
    x->user_agent = strdup(user_agent ? user_agent : "Orrery");
    list_init(&x->running);
    list_init(&x->waiting);
    if (!x->multi || !x->timer || !x->user_agent) {
        fetcher_free(x);
        (void)err_set(err, STATUS_NOMEM, NULL, "out of memory");
        return NULL;
    }
    (void)curl_multi_setopt(x->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(x->multi, CURLMOPT_SOCKETDATA, x);
    (void)curl_multi_setopt(x->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wish);
    (void)curl_multi_setopt(x->multi, CURLMOPT_TIMERDATA, x);
    (void)curl_multi_setopt(x->multi, CURLMOPT_MAXCONNECTS, 16L);
    return x;
}

void fetcher_free(struct fetcher *x)
{
    if (!x)
        return;
    x->freeing = true;
    while (!list_empty(&x->running)) {
        struct fetch *f = CONTAINER_OF(x->running.next, struct fetch, link);
        (void)curl_multi_remove_handle(x->multi, f->easy);
        fetch_over(f, CURLE_OK, true);
    }
    while (!list_empty(&x->waiting))
        fetch_over(CONTAINER_OF(x->waiting.next, struct fetch, link), CURLE_OK, true);
    if (x->multi)
        (void)curl_multi_cleanup(x->multi);
    loop_timer_free(x->timer);
    free(x->user_agent);
    free(x);
    curl_global_cleanup();
}

static bool add_header(struct fetch *f, const char *line)
{
    struct curl_slist *more = curl_slist_append(f->headers, line);

    if (more)
        f->headers = more;
    return more != NULL;
}

static Status set_headers(struct fetch *f, const struct fetch_call *call, struct err *err)
{
    size_t n = 0;
    bool expect = false;

    for (const char *const *h = call->headers; h && *h; h++) {
        if (++n > FETCH_HEADERS_MAX || strpbrk(*h, "\r\n") || !strchr(*h, ':'))
            return err_set(err, STATUS_INVALID, "headers", "bad or too many header lines");
        expect = expect || str_starts_nocase(str_z(*h), STR("Expect:"));
        if (!add_header(f, *h))
            return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    /* Waiting for 100 Continue costs a second with servers that do not know it. */
    if (!expect && !add_header(f, "Expect:"))
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    (void)curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers);
    return STATUS_OK;
}

static void set_method(struct fetch *f, const struct fetch_call *call)
{
    CURL *e = f->easy;

    if (strcmp(call->method, "HEAD") == 0) {
        (void)curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        return;
    }
    if (strcmp(call->method, "POST") == 0 || call->body.n) {
        (void)curl_easy_setopt(e, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, f->body);
        (void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
    }
    if (strcmp(call->method, "GET") != 0 && strcmp(call->method, "POST") != 0)
        (void)curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, call->method);
    else if (strcmp(call->method, "GET") == 0 && call->body.n)
        (void)curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, "GET");
}

static Status set_options(struct fetch *f, const struct fetch_call *call, struct err *err)
{
    CURL *e = f->easy;
    const Usec timeout = call->timeout > 0 ? call->timeout : FETCH_TIMEOUT;

    if (!str_starts_nocase(str_z(call->url), STR("http://")) &&
        !str_starts_nocase(str_z(call->url), STR("https://")))
        return err_set(err, STATUS_INVALID, "url", "URL does not begin with http:// or https://");
    for (const char *p = call->method; *p; p++)
        if ((*p < 'A' || *p > 'Z') && *p != '-')
            return err_set(err, STATUS_INVALID, "method", "bad method");
    if (curl_easy_setopt(e, CURLOPT_URL, call->url) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") != CURLE_OK)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    (void)curl_easy_setopt(e, CURLOPT_PRIVATE, f);
    (void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, f->text);
    (void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(e, CURLOPT_USERAGENT, f->fetcher->user_agent);
    (void)curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(timeout / USEC_MSEC));
    (void)curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, call->follow ? 1L : 0L);
    (void)curl_easy_setopt(e, CURLOPT_MAXREDIRS, FETCH_REDIRECTS);
    (void)curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, call->insecure ? 0L : 1L);
    (void)curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, call->insecure ? 0L : 2L);
    (void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
    (void)curl_easy_setopt(e, CURLOPT_HEADERDATA, f);
    (void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
    set_method(f, call);
    return set_headers(f, call, err);
}

Status fetch_start(struct fetcher *x, const struct fetch_call *call, FetchFn fn, void *arg,
                   struct err *err)
{
    struct fetch *f;
    Status st;

    if (x->n_running >= FETCH_RUNNING_MAX && x->n_waiting >= FETCH_QUEUE_MAX)
        return err_set(err, STATUS_FULL, NULL, "too many requests are waiting");
    f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    f->fetcher = x;
    f->fn = fn;
    f->arg = arg;
    list_init(&f->link);
    buf_init(&f->head, FETCH_HEAD_MAX);
    buf_init(&f->reply, call->reply_max ? call->reply_max : FETCH_REPLY_MAX);
    f->easy = curl_easy_init();
    f->body = malloc(call->body.n + 1);
    if (!f->easy || !f->body) {
        fetch_free(f);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    if (call->body.n)
        memcpy(f->body, call->body.p, call->body.n);
    f->body[call->body.n] = '\0';
    st = set_options(f, call, err);
    if (st) {
        fetch_free(f);
        return st;
    }
    list_push(&x->waiting, &f->link);
    x->n_waiting++;
    start_waiting(x);
    return STATUS_OK;
}
