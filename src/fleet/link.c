/* The conductor's end of the satellite link: hello, join, echo, and handing every other message up.
 * A link is authenticated by a digest over the server id or a nonce; until then only hello and join
 * are heard. The server's record is on disk before `joined` leaves. */
#include "fleet/fleet_int.h"

#include "base/log.h"

#include <ctype.h>
#include <stdlib.h>

static void link_free(struct fleet_link *l)
{
    free((void *)(uintptr_t)l->info.p);
    free((void *)(uintptr_t)l->initial.p);
    free(l);
}

const char *fleet_link_socket_id(const struct fleet_link *link)
{
    return link->socket_id;
}

static void send_frame(struct fleet_link *l, struct buf *frame)
{
    if (l->ws && !frame->failed)
        (void)ws_send(l->ws, buf_str(frame));
}

static void send_failure(struct fleet_link *l, const char *why)
{
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    buf_init(&frame, 4096);
    w = wire_begin(&frame, WIRE_AUTH_FAILURE);
    json_put_z(&w, "description", why);
    wire_end(&w);
    send_frame(l, &frame);
}

/* ASCII, lower case, [a-z0-9_.-] (satellite.md 6.1). */
static void normalise_hostname(struct str in, char out[256])
{
    size_t n = 0;

    for (size_t i = 0; i < in.n && n < 255; i++) {
        unsigned char c = (unsigned char)in.p[i];

        if (c < 128 && (isalnum(c) || c == '_' || c == '.' || c == '-'))
            out[n++] = (char)tolower(c);
    }
    out[n] = '\0';
    if (n == 0)
        (void)str_copy_z(STR("unknown"), out, 256);
}

static void handle_hello(struct fleet_link *l, yyjson_val *data)
{
    static const char *const own[] = { "hostname", "id", "info", "ip", "socket_id", NULL };
    struct fleet *f = l->fleet;
    struct str id = json_str(data, "id");
    struct fleet_server *known;
    AUTO_BUF struct buf text = { 0 };
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    if (l->state != LINK_NEW && l->state != LINK_GREETED)
        return;
    normalise_hostname(json_str(data, "hostname"), l->hostname);
    if (id.n && (!str_is_word(id) || !id_from_str(id, &l->id))) {
        send_failure(l, "Invalid server ID.");
        return;
    }
    if (!id.n)
        l->id = id_new(&f->ids, "s", loop_now_wall(f->config.loop));
    known = fleet_server_get(f, id_str(&l->id));
    if (known && known->online && strcmp(known->hostname, l->hostname) != 0) {
        log_event(LOG_WARN, "fleet.duplicate_id", "server=%s host=%s known=%s", l->id.z,
                  l->hostname, known->hostname);
        send_failure(l, "Server with duplicate ID attempting to connect to the network.");
        return;
    }
    buf_init(&text, FLEET_MESSAGE_MAX);
    (void)!json_text(json_get(data, "info"), false, &text);
    if (!yyjson_is_obj(json_get(data, "info")) ||
        fleet_str_set(&l->info, buf_str(&text)) != STATUS_OK)
        (void)!fleet_str_set(&l->info, STR("{}"));
    l->exact = json_i64(json_at(data, "info.features"), "orrery", 0) == WIRE_VERSION;
    buf_clear(&text);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_members(&w, data, own);
    json_end(&w);
    (void)!fleet_str_set(&l->initial, buf_str(&text));
    crypto_random_hex(l->nonce);
    l->state = LINK_GREETED;
    buf_init(&frame, 4096);
    w = wire_begin(&frame, WIRE_HELLO);
    json_put_z(&w, "nonce", l->nonce);
    json_put_str(&w, "id", id_str(&l->id));
    wire_end(&w);
    send_frame(l, &frame);
}

static bool token_ok(const struct fleet_link *l, struct str token)
{
    char by_nonce[65];
    char by_id[65];

    CRYPTO_SHA256_HEX_OF(by_nonce, str_z(l->nonce), secret_str(l->fleet->config.secret_key));
    fleet_auth_token(l->fleet, id_str(&l->id), by_id);
    return (int)crypto_equal(token, str_z(by_nonce)) | (int)crypto_equal(token, str_z(by_id));
}

static void send_joined(struct fleet_link *l, const struct fleet_server *s)
{
    struct fleet *f = l->fleet;
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    buf_init(&frame, FLEET_MESSAGE_MAX);
    w = wire_begin(&frame, WIRE_JOINED);
    json_obj(&w, "masterData");
    json_arr(&w, "masters");
    json_put_z(&w, NULL, f->config.host_id);
    json_end(&w);
    json_end(&w);
    json_arr(&w, "groups");
    for (size_t i = 0; i < s->n_groups; i++)
        json_put_str(&w, NULL, id_str(&s->groups[i]));
    json_end(&w);
    json_put_u64(&w, "numServers", f->online.n);
    json_obj(&w, "features");
    json_put_bool(&w, "api_finish_job", true);
    json_put_i64(&w, "orrery", WIRE_VERSION);
    json_end(&w);
    f->config.host.put_joined(f->config.host.ctx, s, &w);
    wire_end(&w);
    send_frame(l, &frame);
}

static void link_unref(struct fleet_link *l)
{
    if (!l->ws && !l->committing)
        link_free(l);
}

/* The record is durable: now the server is online. */
static void join_committed(void *arg, Status st, const struct err *err)
{
    struct fleet_link *l = arg;
    struct fleet *f = l->fleet;
    struct fleet_server *s = fleet_server_get(f, id_str(&l->id));

    l->committing = false;
    if (!l->ws || !s || l->state != LINK_JOINING) {
        link_unref(l);
        return;
    }
    if (st != STATUS_OK) {
        log_event(LOG_ERROR, "fleet.join_failed", "server=%s reason=%s", l->id.z,
                  LOG_QUOTED(str_z(err ? err->text : "")));
        ws_close(l->ws, 1013, "store");
        return;
    }
    if (s->link &&
        s->link != l) { /* the newer socket wins; its close does not count (satellite.md 6.2) */
        struct fleet_link *old = s->link;

        old->state = LINK_REPLACED;
        s->link = NULL;
        if (old->ws)
            ws_close(old->ws, 1000, "Force");
        f->config.host.left(f->config.host.ctx, s);
    }
    s->link = l;
    s->exact = l->exact;
    l->state = LINK_JOINED;
    fleet_server_online(f, s, true);
    send_joined(l, s);
    log_event(LOG_INFO, "fleet.joined", "server=%s host=%s ip=%s exact=%d", s->id.z, s->hostname,
              s->ip, s->exact);
    f->config.host.joined(f->config.host.ctx, s);
}

/* What the database knows wins over what a known satellite says, except info, host name and
 * address. */
static struct fleet_server *adopt_candidate(struct fleet_link *l, struct err *err)
{
    struct fleet *f = l->fleet;
    struct fleet_server *s = fleet_server_get(f, id_str(&l->id));
    Usec now = loop_now_wall(f->config.loop);
    bool fresh = s == NULL;

    if (fresh) {
        yyjson_val *initial = NULL;

        s = fleet_server_add(f, id_str(&l->id), err);
        if (!s)
            return NULL;
        (void)!json_parse_in(f->scratch, l->initial, JSON_SIZE_MAX, &initial, NULL);
        if (fleet_server_set_json(s, initial, err) != STATUS_OK) {
            fleet_server_drop(f, s);
            return NULL;
        }
        s->created = now;
        s->enabled = true;
        s->auto_group = s->n_groups == 0;
    }
    (void)str_copy_z(str_z(l->hostname), s->hostname, sizeof(s->hostname));
    (void)str_copy_z(str_z(ws_peer(l->ws)), s->ip, sizeof(s->ip));
    (void)!fleet_str_set(&s->info, l->info);
    s->modified = now;
    fleet_server_regroup(f, s);
    return s;
}

static void handle_join(struct fleet_link *l, yyjson_val *data)
{
    struct fleet *f = l->fleet;
    struct fleet_server *s;
    struct store_tx *tx;
    struct err err = { 0 };

    if (l->state != LINK_GREETED)
        return;
    if (!token_ok(l, json_str(data, "token"))) {
        log_event(LOG_WARN, "fleet.auth_failure", "host=%s ip=%s", l->hostname, ws_peer(l->ws));
        send_failure(l, "Invalid authentication token.");
        return;
    }
    s = adopt_candidate(l, &err);
    if (!s) {
        send_failure(l, err.text);
        return;
    }
    crypto_wipe(l->nonce, sizeof(l->nonce));
    l->state = LINK_JOINING;
    l->committing = true;
    tx = store_tx_new(f->config.store);
    fleet_server_save(f, s, tx);
    if (store_commit(f->config.store, tx, join_committed, l, &err) != STATUS_OK) {
        l->committing = false;
        ws_close(l->ws, 1013, "busy");
    }
}

static void handle_echoback(struct fleet_link *l, yyjson_val *data)
{
    Usec now = loop_now_mono(l->fleet->config.loop);

    l->ping_ms = str_eq_z(json_str(data, "id"), l->echo_id) ? (now - l->echo_sent) / USEC_MSEC : 0;
    l->answered = now;
}

/* The two figures of a minute sample that placement compares. */
static void note_sample(struct fleet_server *s, yyjson_val *data)
{
    yyjson_val *load = json_at(data, "data.load.0");
    yyjson_val *memory = json_at(data, "data.memory");

    if (yyjson_is_num(load))
        s->load1 = yyjson_get_num(load);
    if (yyjson_is_obj(memory))
        s->mem_active = json_double(memory, "active", s->mem_active);
}

static void handle(struct fleet_link *l, enum wire_kind kind, yyjson_val *data)
{
    struct fleet *f = l->fleet;
    struct fleet_server *s;

    if (kind == WIRE_HELLO) {
        handle_hello(l, data);
        return;
    }
    if (kind == WIRE_JOIN) {
        handle_join(l, data);
        return;
    }
    if (kind == WIRE_ECHOBACK) {
        handle_echoback(l, data);
        return;
    }
    if (l->state != LINK_JOINED || kind == WIRE_UNKNOWN)
        return;
    s = fleet_server_get(f, id_str(&l->id));
    if (!s || s->link != l)
        return;
    if (kind == WIRE_MONITOR)
        note_sample(s, data);
    f->config.host.message(f->config.host.ctx, s, kind, data);
}

static void on_message(void *ctx, struct ws *ws, struct str text, bool binary)
{
    struct fleet_link *l = ctx;
    struct fleet *f = l->fleet;
    struct loop_span span = loop_span_begin(f->config.loop, "fleet.message");
    enum wire_kind kind;
    yyjson_val *data = NULL;
    struct err err = { 0 };

    (void)ws;
    if (!binary) {
        arena_reset(f->scratch);
        if (wire_parse(f->scratch, text, WIRE_TO_CONDUCTOR, &kind, &data, &err) == STATUS_OK)
            handle(l, kind, data);
        else
            log_event(LOG_WARN, "fleet.bad_message", "server=%s bytes=%zu reason=%s", l->id.z,
                      text.n, LOG_QUOTED(str_z(err.text)));
    }
    loop_span_end(&span);
}

static void on_close(void *ctx, struct ws *ws, int code, const struct err *err)
{
    struct fleet_link *l = ctx;
    struct fleet *f = l->fleet;
    struct fleet_server *s = l->state == LINK_JOINED ? fleet_server_get(f, id_str(&l->id)) : NULL;

    (void)ws;
    (void)err;
    l->ws = NULL;
    list_remove(&l->link);
    f->n_links--;
    if (s && s->link == l) {
        s->link = NULL;
        s->modified = loop_now_wall(f->config.loop);
        fleet_server_online(f, s, false);
        log_event(LOG_INFO, "fleet.left", "server=%s host=%s code=%d", s->id.z, s->hostname, code);
        f->config.host.left(f->config.host.ctx, s);
        struct store_tx *tx = store_tx_new(f->config.store);
        fleet_server_save(f, s, tx);
        (void)!store_commit(f->config.store, tx, NULL, NULL, NULL);
    }
    link_unref(l);
}

void fleet_accept(struct fleet *f, struct http_request *r)
{
    static const struct ws_ops ops = { .on_message = on_message, .on_close = on_close };
    const struct ws_config config = { .message_max = FLEET_MESSAGE_MAX };
    struct fleet_link *l;
    Id id;

    if (f->n_links >= FLEET_SERVERS_MAX) {
        http_reply(r, 503, "text/plain", STR("503 Too many satellites"));
        return;
    }
    l = calloc(1, sizeof(*l));
    if (!l) {
        http_reply(r, 503, "text/plain", STR("503 Service Unavailable"));
        return;
    }
    l->fleet = f;
    l->opened = loop_now_mono(f->config.loop);
    id = id_new(&f->ids, "ws", loop_now_wall(f->config.loop));
    (void)str_copy_z(id_str(&id), l->socket_id, sizeof(l->socket_id));
    list_init(&l->link);
    if (ws_accept(r, &config, &ops, l, &l->ws, NULL) != STATUS_OK) {
        link_free(l);
        return;
    }
    list_push(&f->links, &l->link);
    f->n_links++;
}

static void send_echo(struct fleet_link *l, Usec now)
{
    struct fleet *f = l->fleet;
    Id id = id_new(&f->ids, "e", loop_now_wall(f->config.loop));
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    (void)str_copy_z(id_str(&id), l->echo_id, sizeof(l->echo_id));
    buf_init(&frame, 4096);
    w = wire_begin(&frame, WIRE_ECHO);
    json_put_z(&w, "id", l->echo_id);
    json_put_i64(&w, "last_ping_ms", l->ping_ms);
    wire_end(&w);
    l->echo_sent = now;
    send_frame(l, &frame);
}

void fleet_tick(struct fleet *f, Usec now)
{
    LIST_EACH_SAFE (it, &f->links) {
        struct fleet_link *l = CONTAINER_OF(it, struct fleet_link, link);

        if (l->echo_sent && !l->paused &&
            now - (l->answered ? l->answered : l->opened) >= FLEET_PING_TIMEOUT) {
            ws_terminate(l->ws);
        } else if (l->state != LINK_JOINED && now - l->opened >= FLEET_AUTH_TIMEOUT) {
            ws_terminate(l->ws);
        } else if (now - l->echo_sent >= FLEET_PING_EVERY) {
            send_echo(l, now);
        }
    }
}

void fleet_close_links(struct fleet *f)
{
    LIST_EACH_SAFE (it, &f->links) {
        struct fleet_link *l = CONTAINER_OF(it, struct fleet_link, link);

        ws_close(l->ws, 1001, "Shutting down");
    }
}

Status fleet_send(struct fleet *f, const Id *server, struct str frame)
{
    struct fleet_server *s = fleet_server_get(f, id_str(server));

    if (!s || !s->link || !s->link->ws || s->link->state != LINK_JOINED)
        return STATUS_CLOSED;
    return ws_send(s->link->ws, frame);
}

void fleet_pause(struct fleet *f, const Id *server)
{
    struct fleet_server *s = fleet_server_get(f, id_str(server));

    if (s && s->link && s->link->ws && !s->link->paused) {
        s->link->paused = true;
        ws_pause(s->link->ws);
    }
}

void fleet_resume_all(struct fleet *f)
{
    LIST_EACH (it, &f->links) {
        struct fleet_link *l = CONTAINER_OF(it, struct fleet_link, link);

        if (l->paused) {
            l->paused = false;
            l->answered = loop_now_mono(f->config.loop); /* its echo may still be unread */
            ws_resume(l->ws);
        }
    }
}

bool fleet_congested(const struct fleet *f, const Id *server)
{
    const struct fleet_server *s = fleet_find(f, id_str(server));

    return s && s->link && s->link->ws && ws_congested(s->link->ws);
}

void fleet_broadcast(struct fleet *f, struct str frame)
{
    for (size_t i = 0; i < f->online.n; i++) {
        struct fleet_server *s = f->online.at[i];

        (void)fleet_send(f, &s->id, frame);
    }
}

void fleet_link_send_update_groups(struct fleet *f, const struct fleet_server *s)
{
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    buf_init(&frame, 64u * 1024);
    w = wire_begin(&frame, WIRE_UPDATE);
    json_arr(&w, "groups");
    for (size_t i = 0; i < s->n_groups; i++)
        json_put_str(&w, NULL, id_str(&s->groups[i]));
    json_end(&w);
    wire_end(&w);
    if (!frame.failed)
        (void)fleet_send(f, &s->id, buf_str(&frame));
}
