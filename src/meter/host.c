/* Facts of the host that hardly change: distribution, names, virtualisation. Files only: no name
 * service for the full host name, no cloud metadata service. */
#include <sys/utsname.h>

#include "meter/meter_int.h"

static struct str or_empty(struct str s)
{
    return s.p ? s : STR("");
}

static struct str first_of(struct str a, struct str b)
{
    return a.n ? a : or_empty(b);
}

static const char *logo_of(struct str distro)
{
    static const char *const logos[] = { "ubuntu",   "debian",  "centos", "fedora",   "alpine",
                                         "arch",     "amazon",  "rocky",  "alma",     "oracle",
                                         "opensuse", "suse",    "mint",   "raspbian", "gentoo",
                                         "manjaro",  "openwrt", "kali",   "coreos",   "slackware" };

    for (size_t i = 0; i < COUNT_OF(logos); i++) {
        const struct str logo = str_z(logos[i]);

        for (size_t at = 0; at + logo.n <= distro.n; at++) {
            if (str_eq_nocase(str_slice(distro, at, at + logo.n), logo))
                return logos[i];
        }
    }
    if (str_starts_nocase(distro, STR("red hat")))
        return "redhat";
    return "linux";
}

/* satellite.md 31.3: VERSION, or what follows the distribution in PRETTY_NAME; "(text)" is the
 * codename. */
void meter_os_write(struct str release, struct json_writer *w)
{
    struct str distro =
        first_of(meter_value(release, "DISTRIB_ID", '='), meter_value(release, "NAME", '='));
    const struct str pretty = meter_value(release, "PRETTY_NAME", '=');
    struct str version = or_empty(meter_value(release, "VERSION", '='));
    struct str codename = first_of(meter_value(release, "DISTRIB_CODENAME", '='),
                                   meter_value(release, "VERSION_CODENAME", '='));
    size_t open_at;
    size_t close_at;

    if (distro.n == 0)
        distro = STR("unknown");
    if (str_starts(pretty, distro))
        version = str_trim(str_slice(pretty, distro.n, pretty.n));
    open_at = str_find_char(version, '(');
    close_at = str_find_char(version, ')');
    if (open_at < close_at && close_at < version.n) {
        codename = str_slice(version, open_at + 1, close_at);
        version = str_trim(str_slice(version, 0, open_at));
    }
    if (version.n == 0)
        version = first_of(meter_value(release, "DISTRIB_RELEASE", '='),
                           meter_value(release, "VERSION_ID", '='));
    json_put_str(w, "distro", distro);
    json_put_str(w, "release", version.n ? version : STR("unknown"));
    json_put_str(w, "codename", codename);
    json_put_z(w, "logofile", logo_of(distro));
    json_put_str(w, "build", or_empty(meter_value(release, "BUILD_ID", '=')));
}

struct str meter_fqdn(struct str hosts, struct str host)
{
    struct str line;

    while (str_split(&hosts, '\n', &line)) {
        struct str address;
        struct str name;
        struct str first = STR_NONE;

        line = str_slice(line, 0, str_find_char(line, '#'));
        if (!meter_word(&line, &address))
            continue;
        while (meter_word(&line, &name)) {
            first = first.n ? first : name;
            if (str_eq_nocase(name, host))
                return first;
        }
    }
    return host;
}

static void put_names(struct meter *m, struct json_writer *w)
{
    struct utsname u = { 0 };
    const char *lang = getenv("LANG");
    const char *dot = lang ? strchr(lang, '.') : NULL;

    (void)uname(&u);
    json_put_z(w, "kernel", u.release);
    json_put_z(w, "arch", u.machine);
    json_put_z(w, "hostname", u.nodename);
    json_put_str(w, "fqdn", meter_fqdn(meter_read(m, "/etc/hosts"), str_z(u.nodename)));
    json_put_z(w, "codepage", dot && dot[1] ? dot + 1 : "UTF-8");
}

void meter_put_os(struct meter *m, struct json_writer *w, const char *key)
{
    static const char *const files[] = { "/etc/os-release", "/usr/lib/os-release",
                                         "/etc/openwrt_release", "/etc/lsb-release" };
    struct str release = STR_NONE;
    char serial[64];

    json_obj(w, key);
    json_put_z(w, "platform", "Linux");
    for (size_t i = 0; i < COUNT_OF(files) && release.n == 0; i++)
        release = meter_read(m, files[i]);
    meter_os_write(release, w);
    put_names(m, w);
    if (!meter_read_line(m, "/var/lib/dbus/machine-id", serial, sizeof(serial)))
        (void)meter_read_line(m, "/etc/machine-id", serial, sizeof(serial));
    json_put_z(w, "serial", serial);
    json_put_z(w, "servicepack", "");
    json_put_bool(w, "uefi", access("/sys/firmware/efi", F_OK) == 0);
    json_end(w);
}

static bool mentions(struct meter *m, const char *path, struct str word)
{
    const struct str text = meter_read(m, path);

    return str_find(text, word) < text.n;
}

/* satellite.md 30; first hit wins. False when nothing tells of a virtual machine or container. */
static bool virt_find(struct meter *m, char vendor[128], bool *cloud)
{
    *cloud = meter_read_line(m, "/sys/class/dmi/id/board_vendor", vendor, 128);
    if (*cloud || meter_read_line(m, "/sys/class/dmi/id/sys_vendor", vendor, 128) ||
        meter_read_line(m, "/sys/class/dmi/id/product_name", vendor, 128))
        return true;
    if (access("/.dockerenv", F_OK) == 0 || mentions(m, "/proc/self/cgroup", STR("docker"))) {
        (void)str_copy_z(STR("Docker"), vendor, 128);
        return true;
    }
    if (mentions(m, "/proc/1/environ", STR("lxc"))) {
        (void)str_copy_z(STR("LXC"), vendor, 128);
        return true;
    }
    return false;
}

void meter_put_virt(struct meter *m, struct json_writer *w, const char *key)
{
    char vendor[128];
    bool cloud;

    if (!virt_find(m, vendor, &cloud)) {
        json_put_bool(w, key, false);
        return;
    }
    json_obj(w, key);
    json_put_z(w, "vendor", vendor);
    if (cloud)
        json_put_bool(w, "cloud", true);
    json_end(w);
}
