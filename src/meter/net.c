/* Network: interfaces with their addresses (getifaddrs), facts (/sys/class/net) and counters
 * (/proc/net/dev), and the number of connections in each state (/proc/net/tcp and its kin). */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

#include "meter/meter_int.h"

static struct meter_iface *iface_find(struct meter_ifaces *all, struct str name)
{
    for (size_t i = 0; i < all->n; i++) {
        if (str_eq_z(name, all->at[i].name))
            return &all->at[i];
    }
    return NULL;
}

static struct meter_iface *iface_get(struct meter_ifaces *all, const char *name)
{
    struct meter_iface *f = iface_find(all, str_z(name));

    if (f || all->n == METER_IFACES_MAX)
        return f;
    f = &all->at[all->n++];
    *f = (struct meter_iface){ 0 };
    (void)str_copy_z(str_z(name), f->name, sizeof(f->name));
    return f;
}

/* Keeps the first address of each family. */
static void address_take(struct meter_iface *f, const struct ifaddrs *a)
{
    if (a->ifa_addr->sa_family == AF_INET && !f->ip4[0]) {
        const struct sockaddr_in *in = (const void *)a->ifa_addr;
        const struct sockaddr_in *mask = (const void *)a->ifa_netmask;

        (void)inet_ntop(AF_INET, &in->sin_addr, f->ip4, sizeof(f->ip4));
        if (mask)
            (void)inet_ntop(AF_INET, &mask->sin_addr, f->mask4, sizeof(f->mask4));
        f->has_address = true;
    }
    if (a->ifa_addr->sa_family == AF_INET6 && !f->ip6[0]) {
        const struct sockaddr_in6 *in = (const void *)a->ifa_addr;
        const struct sockaddr_in6 *mask = (const void *)a->ifa_netmask;

        (void)inet_ntop(AF_INET6, &in->sin6_addr, f->ip6, sizeof(f->ip6));
        if (mask)
            (void)inet_ntop(AF_INET6, &mask->sin6_addr, f->mask6, sizeof(f->mask6));
        f->has_address = true;
    }
}

/* "name: rx_bytes packets errs drop fifo frame compressed multicast tx_bytes packets errs drop ..."
 */
void meter_net_parse(struct str net_dev, struct meter_ifaces *io)
{
    struct str line;

    while (str_split(&net_dev, '\n', &line)) {
        const size_t colon = str_find_char(line, ':');
        struct meter_iface *f = iface_find(io, str_trim(str_slice(line, 0, colon)));
        uint64_t v[16];

        if (colon == line.n || !f)
            continue;
        line = str_slice(line, colon + 1, line.n);
        for (size_t i = 0; i < COUNT_OF(v); i++)
            v[i] = meter_number(&line);
        f->rx_bytes = v[0];
        f->rx_errors = v[2];
        f->rx_dropped = v[3];
        f->tx_bytes = v[8];
        f->tx_errors = v[10];
        f->tx_dropped = v[11];
    }
}

void meter_net_list(struct meter *m, struct meter_ifaces *ret)
{
    struct ifaddrs *all = NULL;

    ret->n = 0;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        struct meter_iface *f;

        if (!a->ifa_addr || !a->ifa_name ||
            (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
            continue;
        f = iface_get(ret, a->ifa_name);
        if (!f)
            continue;
        f->internal = (a->ifa_flags & IFF_LOOPBACK) != 0;
        address_take(f, a);
    }
    freeifaddrs(all);
    meter_net_parse(meter_read(m, "/proc/net/dev"), ret);
}

void meter_net_init(struct meter *m)
{
    meter_net_list(m, m->ifaces);
    for (size_t i = 0; i < m->ifaces->n; i++) {
        const struct meter_iface *f = &m->ifaces->at[i];

        if (!f->internal && str_is_word(str_z(f->name)))
            memcpy(m->external[m->n_external++], f->name, sizeof(f->name));
    }
    m->ifaces->n = 0;
}

static bool is_external(const struct meter *m, struct str name)
{
    for (size_t i = 0; i < m->n_external; i++) {
        if (str_eq_z(name, m->external[i]))
            return true;
    }
    return false;
}

void meter_put_net_quick(struct meter *m, struct json_writer *w, const char *key)
{
    struct str text = meter_read(m, "/proc/net/dev");
    struct str line;
    uint64_t rx = 0;
    uint64_t tx = 0;

    while (str_split(&text, '\n', &line)) {
        const size_t colon = str_find_char(line, ':');

        if (colon == line.n || !is_external(m, str_trim(str_slice(line, 0, colon))))
            continue;
        line = str_slice(line, colon + 1, line.n);
        rx += meter_number(&line);
        for (int i = 0; i < 7; i++)
            (void)meter_number(&line);
        tx += meter_number(&line);
    }
    json_obj(w, key);
    json_put_u64(w, "rx", rx);
    json_put_u64(w, "tx", tx);
    json_end(w);
}

/* Interface of the default route, or "". */
static void default_iface(struct meter *m, char out[32])
{
    struct str text = meter_read(m, "/proc/net/route");
    struct str line;

    out[0] = 0;
    while (str_split(&text, '\n', &line)) {
        struct str name;
        struct str to;

        if (meter_word(&line, &name) && meter_word(&line, &to) && str_eq_z(to, "00000000")) {
            (void)str_copy_z(name, out, 32);
            return;
        }
    }
}

static void sys_line(struct meter *m, const char *iface, const char *what, char *out, size_t size)
{
    char path[96];

    (void)snprintf(path, sizeof(path), "/sys/class/net/%s/%s", iface, what);
    (void)meter_read_line(m, path, out, size);
}

static uint64_t sys_number(struct meter *m, const char *iface, const char *what)
{
    char text[32];
    uint64_t v = 0;

    sys_line(m, iface, what, text, sizeof(text));
    (void)str_to_u64(str_z(text), &v);
    return v;
}

static bool sys_exists(const char *iface, const char *what)
{
    char path[96];

    (void)snprintf(path, sizeof(path), "/sys/class/net/%s/%s", iface, what);
    return access(path, F_OK) == 0;
}

static void put_facts(struct meter *m, struct json_writer *w, const struct meter_iface *f)
{
    const bool virtual = !f->internal && !sys_exists(f->name, "device");
    char text[64];
    uint64_t speed;

    sys_line(m, f->name, "address", text, sizeof(text));
    json_put_z(w, "mac", text);
    json_put_bool(w, "internal", f->internal);
    json_put_bool(w, "virtual", virtual);
    sys_line(m, f->name, "operstate", text, sizeof(text));
    json_put_z(w, "operstate", text[0] ? text : "unknown");
    json_put_z(w, "type",
               f->internal || virtual            ? "virtual"
               : sys_exists(f->name, "wireless") ? "wireless"
                                                 : "wired");
    sys_line(m, f->name, "duplex", text, sizeof(text));
    json_put_z(w, "duplex", text);
    json_put_u64(w, "mtu", sys_number(m, f->name, "mtu"));
    speed = sys_number(m, f->name, "speed");
    if (speed)
        json_put_u64(w, "speed", speed);
    else
        json_put_null(w, "speed");
    json_put_u64(w, "carrierChanges", sys_number(m, f->name, "carrier_changes"));
}

static void put_counters(struct json_writer *w, const struct meter_iface *was,
                         const struct meter_iface *is, Usec span)
{
    json_put_u64(w, "rx_bytes", is->rx_bytes);
    json_put_u64(w, "rx_dropped", is->rx_dropped);
    json_put_u64(w, "rx_errors", is->rx_errors);
    json_put_u64(w, "tx_bytes", is->tx_bytes);
    json_put_u64(w, "tx_dropped", is->tx_dropped);
    json_put_u64(w, "tx_errors", is->tx_errors);
    meter_put_rate(w, "rx_sec", was ? was->rx_bytes : 0, is->rx_bytes, was ? span : 0);
    meter_put_rate(w, "tx_sec", was ? was->tx_bytes : 0, is->tx_bytes, was ? span : 0);
    json_put_i64(w, "ms", was ? span / USEC_MSEC : 0);
}

void meter_put_interfaces(struct meter *m, struct json_writer *w, const char *key, Usec now_mono)
{
    const Usec span = m->ifaces_at ? now_mono - m->ifaces_at : 0;
    struct meter_ifaces *now = calloc(1, sizeof(*now));
    char route[32];

    json_obj(w, key);
    if (now) {
        meter_net_list(m, now);
        default_iface(m, route);
        for (size_t i = 0; i < now->n; i++) {
            const struct meter_iface *f = &now->at[i];

            json_obj(w, f->name);
            json_put_z(w, "iface", f->name);
            json_put_z(w, "ifaceName", f->name);
            json_put_bool(w, "default", strcmp(f->name, route) == 0);
            json_put_z(w, "ip4", f->ip4);
            json_put_z(w, "ip4subnet", f->mask4);
            json_put_z(w, "ip6", f->ip6);
            json_put_z(w, "ip6subnet", f->mask6);
            put_facts(m, w, f);
            put_counters(w, iface_find(m->ifaces, str_z(f->name)), f, span);
            json_end(w);
        }
        free(m->ifaces);
        m->ifaces = now;
        m->ifaces_at = now_mono;
    }
    json_end(w);
}

/* The state is the fourth column, in hexadecimal: "0: 0100007F:1F90 00000000:0000 0A ..." */
void meter_net_states(struct str table, bool udp, uint64_t counts[16])
{
    struct str line;

    (void)str_split(&table, '\n', &line); /* the head */
    while (str_split(&table, '\n', &line)) {
        struct str word = STR_NONE;
        unsigned state;

        for (int i = 0; i < 4; i++)
            (void)meter_word(&line, &word);
        if (word.n != 2 || word.p[0] != '0')
            continue;
        state = word.p[1] <= '9' ? (unsigned)(word.p[1] - '0') : (unsigned)(word.p[1] - 'A') + 10;
        if (state > 15)
            continue;
        if (udp && state == 7)
            state = 0; /* "closed" means unconnected there */
        counts[state]++;
    }
}

static void put_states(struct meter *m, struct json_writer *w)
{
    static const char *const names[16] = { "unconnected", "established", "syn_sent",  "syn_recv",
                                           "fin_wait_1",  "fin_wait_2",  "time_wait", "closed",
                                           "close_wait",  "last_ack",    "listen",    "closing",
                                           "new_syn_recv" };
    uint64_t counts[16] = { 0 };
    uint64_t all = 0;

    meter_net_states(meter_read(m, "/proc/net/tcp"), false, counts);
    meter_net_states(meter_read(m, "/proc/net/tcp6"), false, counts);
    meter_net_states(meter_read(m, "/proc/net/udp"), true, counts);
    meter_net_states(meter_read(m, "/proc/net/udp6"), true, counts);
    for (int i = 0; i < 16; i++)
        all += counts[i];
    json_put_u64(w, "conns", all);
    json_obj(w, "states");
    json_put_u64(w, names[1], counts[1]);
    for (int i = 0; i < 16; i++) {
        if (i != 1 && counts[i] && names[i])
            json_put_u64(w, names[i], counts[i]);
    }
    json_end(w);
}

static void put_sums(struct json_writer *w, const struct meter_iface *sum)
{
    json_put_u64(w, "rx_bytes", sum->rx_bytes);
    json_put_u64(w, "rx_dropped", sum->rx_dropped);
    json_put_u64(w, "rx_errors", sum->rx_errors);
    json_put_u64(w, "tx_bytes", sum->tx_bytes);
    json_put_u64(w, "tx_dropped", sum->tx_dropped);
    json_put_u64(w, "tx_errors", sum->tx_errors);
}

/* Uses the counters that meter_put_interfaces has just read. */
void meter_put_net_stats(struct meter *m, struct json_writer *w)
{
    struct meter_iface sum = { 0 };
    size_t n = 0;

    json_obj(w, "network");
    json_arr(w, "ifaces");
    for (size_t i = 0; i < m->ifaces->n; i++) {
        const struct meter_iface *f = &m->ifaces->at[i];

        if (f->internal)
            continue;
        json_put_z(w, NULL, f->name);
        sum.rx_bytes += f->rx_bytes;
        sum.rx_errors += f->rx_errors;
        sum.rx_dropped += f->rx_dropped;
        sum.tx_bytes += f->tx_bytes;
        sum.tx_errors += f->tx_errors;
        sum.tx_dropped += f->tx_dropped;
        n++;
    }
    json_end(w);
    if (n > 0)
        put_sums(w, &sum);
    put_states(m, w);
    json_end(w);
}
