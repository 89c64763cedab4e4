/* The meter's parsers on fixed text, and the messages of this very machine. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "meter/meter_int.h"

/* Writes with fn into a fresh object and parses it again. */
struct doc {
    struct buf text;
    yyjson_doc *doc;
    struct json_writer w;
};

static void doc_begin(struct doc *d)
{
    *d = (struct doc){ 0 };
    buf_init(&d->text, 64u << 20);
    d->w = json_writer_init(&d->text);
    json_obj(&d->w, NULL);
}

static yyjson_val *doc_end(struct doc *d)
{
    struct err err = { 0 };

    json_end(&d->w);
    assert_false(d->text.failed);
    if (json_parse(buf_str(&d->text), JSON_SIZE_MAX, &d->doc, &err) != STATUS_OK)
        fail_msg("%s", err.text);
    return yyjson_doc_get_root(d->doc);
}

static void doc_done(struct doc *d)
{
    json_doc_free(d->doc);
    buf_done(&d->text);
}

static const char meminfo[] = "MemTotal:        1000 kB\n"
                              "MemFree:          100 kB\n"
                              "MemAvailable:     400 kB\n"
                              "Buffers:           10 kB\n"
                              "Cached:           200 kB\n"
                              "SwapTotal:         50 kB\n"
                              "SwapFree:          20 kB\n"
                              "Active(anon):       7 kB\n"
                              "Slab:              30 kB\n"
                              "SReclaimable:      15 kB\n"
                              "Committed_AS:      99 kB\n"
                              "HugePages_Total:    3\n";

static void test_meter_memory(void **state)
{
    struct doc d;
    yyjson_val *v;

    (void)state;
    doc_begin(&d);
    meter_memory_write(str_z(meminfo), &d.w, "mem");
    meter_memory_info(str_z(meminfo), &d.w, "memory");
    v = doc_end(&d);
    assert_int_equal(yyjson_obj_size(json_get(v, "mem")), 12);
    assert_int_equal(json_i64(json_get(v, "mem"), "total", 0), 1024000);
    assert_int_equal(json_i64(json_get(v, "mem"), "free", 0), 102400);
    assert_int_equal(json_i64(json_get(v, "mem"), "available", 0), 409600);
    assert_int_equal(json_i64(json_get(v, "mem"), "used", 0), 614400);
    assert_int_equal(json_i64(json_get(v, "mem"), "committed_as", 0), 101376);
    assert_int_equal(json_i64(json_get(v, "mem"), "hugepages_total", 0), 3);
    assert_null(json_get(json_get(v, "mem"), "active(anon)"));
    assert_int_equal(json_i64(json_get(v, "memory"), "used", 0), 921600);
    assert_int_equal(json_i64(json_get(v, "memory"), "active", 0), 614400);
    assert_int_equal(json_i64(json_get(v, "memory"), "buffcache", 0), 245760);
    assert_int_equal(json_i64(json_get(v, "memory"), "swapused", 0), 30720);
    assert_int_equal(json_i64(json_get(v, "memory"), "reclaimable", 0), 15360);
    doc_done(&d);

    doc_begin(&d); /* an old kernel has no MemAvailable: free + buffers */
    meter_memory_write(STR("MemTotal: 10 kB\nMemFree: 4 kB\nBuffers: 1 kB\n"), &d.w, "mem");
    meter_memory_write(STR_NONE, &d.w, "none");
    v = doc_end(&d);
    assert_int_equal(json_i64(json_get(v, "mem"), "available", 0), 5120);
    assert_int_equal(json_i64(json_get(v, "mem"), "used", 0), 5120);
    assert_int_equal(json_i64(json_get(v, "none"), "total", 7), 0);
    doc_done(&d);
}

static void test_meter_cpu_percent(void **state)
{
    static const char first[] = "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0 0 0\n"
                                "cpu1 50 0 50 400 0 0 0 0 0 0\nintr 5 6 7\n";
    static const char second[] = "cpu  130 0 103 1060 7 0 0 0 0 0\ncpu0 80 0 50 400 0 0 0 0 0 0\n"
                                 "cpu1 40 0 53 660 7 0 0 0 0 0\n";
    struct meter_cpu_times a[4] = { 0 };
    struct meter_cpu_times b[4] = { 0 };
    static const struct meter_cpu_times none;
    double v[METER_COLUMNS + 1];

    (void)state;
    assert_int_equal(meter_cpu_parse(str_z(first), a, 4), 3);
    assert_int_equal(meter_cpu_parse(str_z(second), b, 4), 3);
    assert_int_equal(meter_cpu_parse(str_z(second), b, 2), 2);
    assert_int_equal(meter_cpu_parse(STR("nothing"), b, 2), 0);
    assert_int_equal(meter_cpu_parse(str_z(second), b, 4), 3);

    meter_cpu_percent(&none, &a[0], v);
    assert_true(v[0] == 0 && v[3] == 100 && v[METER_COLUMNS] == 0);
    meter_cpu_percent(&a[0], &b[0], v); /* 30 + 3 + 260 + 7 = 300 */
    assert_true(v[0] == 10 && v[1] == 0 && v[2] == 1);
    assert_true(v[3] > 86.65 && v[3] < 86.67);
    assert_true(v[4] > 2.32 && v[4] < 2.34);
    assert_true(v[METER_COLUMNS] > 13.32 && v[METER_COLUMNS] < 13.35);
    meter_cpu_percent(&a[1], &b[1], v);
    assert_true(v[0] == 100 && v[3] == 0);
    meter_cpu_percent(&a[2], &b[2], v); /* user went back: counts as 0 */
    assert_true(v[0] == 0);
    meter_cpu_percent(&b[0], &b[0], v); /* nothing moved */
    assert_true(v[0] == 0 && v[3] == 0 && v[METER_COLUMNS] == 100);
}

static void test_meter_disks(void **state)
{
    static const char *const whole[] = { "sda", "vdb",  "xvda", "nvme0n1", "mmcblk0",
                                         "hda", "sdaa", "nbd0", "dasda" };
    static const char *const part[] = { "sda1", "vdb12", "xvda1", "nvme0n1p2", "mmcblk0p1",
                                        "dm-0", "md127", "loop0", "ram15",     "zram0",
                                        "sr0",  "fd0",   "hda5",  "" };
    struct meter_disks d;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(whole); i++)
        assert_true(meter_disk_is_whole(str_z(whole[i])));
    for (size_t i = 0; i < COUNT_OF(part); i++)
        assert_false(meter_disk_is_whole(str_z(part[i])));
    meter_disk_parse(STR(" 8 0 sda 10 1 20 30 40 2 50 60 0 70 80 0 0 0 0\n"
                         " 8 1 sda1 99 99 99 99 99 99 99 99 99 99 99\n"),
                     &d);
    assert_int_equal(d.reads, 10);
    assert_int_equal(d.read_bytes, 20 * 512);
    assert_int_equal(d.read_ms, 30);
    assert_int_equal(d.writes, 40);
    assert_int_equal(d.write_bytes, 50 * 512);
    assert_int_equal(d.write_ms, 60);
    assert_int_equal(d.queue_ms, 80);
    meter_disk_parse(STR(" 8 0 sda 10\ngarbage\n\n"), &d);
    assert_int_equal(d.reads, 10);
    assert_int_equal(d.writes, 0);
}

static void test_meter_mounts(void **state)
{
    static const char mounts[] = "/dev/vda1 / ext4 rw,relatime 0 0\n"
                                 "tmpfs /run tmpfs rw 0 0\n"
                                 "/dev/vda1 /usr ext4 ro 0 0\n"
                                 "proc /proc proc rw 0 0\n"
                                 "srv:/x /tmp nfs rw 0 0\n"
                                 "/dev/vdb /no\\040such\\040place ext4 rw 0 0\n"
                                 "/dev/vdc /etc ext4 ro,noatime 0 0\n";
    struct doc d;
    yyjson_val *v;

    (void)state;
    doc_begin(&d);
    meter_mounts_write(str_z(mounts), &d.w, "mounts");
    v = json_get(doc_end(&d), "mounts");
    assert_int_equal(yyjson_obj_size(v), LIMIT(2, 2));
    assert_true(str_eq_z(json_str(json_get(v, "root"), "mount"), "/"));
    assert_true(str_eq_z(json_str(json_get(v, "root"), "fs"), "/dev/vda1"));
    assert_true(json_bool(json_get(v, "root"), "rw", false));
    assert_true(json_i64(json_get(v, "root"), "size", 0) > 0);
    assert_true(json_double(json_get(v, "root"), "use", -1) >= 0);
    assert_true(str_eq_z(json_str(json_get(v, "etc"), "type"), "ext4"));
    assert_false(json_bool(json_get(v, "etc"), "rw", true));
    doc_done(&d);
}

static void test_meter_net(void **state)
{
    static const char dev[] =
        "Inter-|   Receive                 |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes\n"
        "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
        "  eth0:100 2 3 4 5 6 7 8 900 10 11 12 13 14 15 16\n"
        "  eth1: 7\n";
    static const char tcp[] = "  sl  local_address rem_address   st tx_queue\n"
                              "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n"
                              "   1: 0100007F:1F90 0100007F:9999 01 00000000:00000000\n"
                              "   2: 0100007F:1F90 0100007F:9998 01 00000000:00000000\n"
                              "   3: bad\n";
    struct meter_ifaces io = { .at = { { .name = "eth0" }, { .name = "eth1" } }, .n = 2 };
    uint64_t counts[16] = { 0 };

    (void)state;
    meter_net_parse(str_z(dev), &io);
    assert_int_equal(io.at[0].rx_bytes, 100);
    assert_int_equal(io.at[0].rx_errors, 3);
    assert_int_equal(io.at[0].rx_dropped, 4);
    assert_int_equal(io.at[0].tx_bytes, 900);
    assert_int_equal(io.at[0].tx_errors, 11);
    assert_int_equal(io.at[0].tx_dropped, 12);
    assert_int_equal(io.at[1].rx_bytes, 7);
    assert_int_equal(io.at[1].tx_bytes, 0);
    meter_net_states(str_z(tcp), false, counts);
    assert_int_equal(counts[1], 2);
    assert_int_equal(counts[10], 1);
    meter_net_states(STR("head\n 1: a b 07 c\n"), true, counts);
    assert_int_equal(counts[0], 1);
    meter_net_states(STR("head\n 1: a b 07 c\n"), false, counts);
    assert_int_equal(counts[7], 1);
}

static void expect_os(const char *release, const char *distro, const char *version,
                      const char *codename, const char *logo)
{
    struct doc d;
    yyjson_val *v;

    doc_begin(&d);
    meter_os_write(str_z(release), &d.w);
    v = doc_end(&d);
    assert_true(str_eq_z(json_str(v, "distro"), distro));
    assert_true(str_eq_z(json_str(v, "release"), version));
    assert_true(str_eq_z(json_str(v, "codename"), codename));
    assert_true(str_eq_z(json_str(v, "logofile"), logo));
    doc_done(&d);
}

static void test_meter_os(void **state)
{
    (void)state;
    expect_os("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n"
              "VERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\n",
              "Debian GNU/Linux", "12", "bookworm", "debian");
    expect_os("NAME=\"Alpine Linux\"\nVERSION_ID=3.19.1\nPRETTY_NAME=\"Alpine Linux v3.19\"\n",
              "Alpine Linux", "v3.19", "", "alpine");
    expect_os("DISTRIB_ID='Ubuntu'\nDISTRIB_RELEASE=22.04\nDISTRIB_CODENAME=jammy\n", "Ubuntu",
              "22.04", "jammy", "ubuntu");
    expect_os("NAME=Red Hat Enterprise Linux\nVERSION=9.1 (Plow)\n", "Red Hat Enterprise Linux",
              "9.1", "Plow", "redhat");
    expect_os("", "unknown", "unknown", "", "linux");
}

static void test_meter_fqdn(void **state)
{
    const struct str hosts = STR("127.0.0.1 localhost\n# 1.2.3.4 no.example web\n"
                                 "10.0.0.5\tweb.example.org web # comment\n");

    (void)state;
    assert_true(str_eq_z(meter_fqdn(hosts, STR("web")), "web.example.org"));
    assert_true(str_eq_z(meter_fqdn(hosts, STR("db")), "db"));
    assert_true(str_eq_z(meter_fqdn(STR_NONE, STR("db")), "db"));
}

static void test_meter_hardware(void **state)
{
    static const char cpuinfo[] =
        "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n"
        "model name\t: Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz\nstepping\t: 4\n"
        "microcode\t: 0x1\ncpu MHz\t\t: 2095.078\nphysical id\t: 0\ncore id\t\t: 0\n"
        "flags\t\t: fpu vmx sse\n\n"
        "processor\t: 1\nphysical id\t: 0\ncore id\t\t: 0\n\n"
        "processor\t: 2\nphysical id\t: 1\ncore id\t\t: 0\n\n"
        "processor\t: 3\nphysical id\t: 1\ncore id\t\t: 1\n";
    AUTO(meter_free) struct meter *m = meter_new();
    struct doc d;
    yyjson_val *v;

    (void)state;
    assert_non_null(m);
    doc_begin(&d);
    meter_cpu_hardware(m, str_z(cpuinfo), &d.w);
    v = doc_end(&d);
    assert_true(str_eq_z(json_str(v, "manufacturer"), "Intel"));
    assert_true(str_eq_z(json_str(v, "brand"), "Xeon\xc2\xae Gold 6130 @ 2.10GHz"));
    assert_true(str_eq_z(json_str(v, "vendor"), "GenuineIntel"));
    assert_true(str_eq_z(json_str(v, "family"), "6"));
    assert_true(str_eq_z(json_str(v, "model"), "85"));
    assert_true(str_eq_z(json_str(v, "stepping"), "4"));
    assert_true(str_eq_z(json_str(v, "flags"), "fpu vmx sse"));
    assert_true(json_bool(v, "virtualization", false));
    assert_int_equal(json_i64(v, "cores", 0), 4);
    assert_int_equal(json_i64(v, "physicalCores", 0), 3);
    assert_int_equal(json_i64(v, "processors", 0), 2);
    assert_true(json_double(v, "speed", 0) > 2.08 && json_double(v, "speed", 0) < 2.1);
    doc_done(&d);
}

static void test_meter_process_line(void **state)
{
    int64_t field[42];
    char letter = 0;

    (void)state;
    assert_true(meter_process_parse(STR("12 (a) b (c) S 1 12 12 0 -1 4194560 1 2 3 4 50 60 0 0 20 "
                                        "-5 3 0 777 1000 25\n"),
                                    &letter, field, 42));
    assert_int_equal(letter, 'S');
    assert_int_equal(field[4], 1);
    assert_int_equal(field[14], 50);
    assert_int_equal(field[15], 60);
    assert_int_equal(field[19], -5);
    assert_int_equal(field[22], 777);
    assert_int_equal(field[24], 25);
    assert_int_equal(field[41], 0);
    assert_false(meter_process_parse(STR("12 broken"), &letter, field, 42));
    assert_false(meter_process_parse(STR("12 (x)"), &letter, field, 42));
    assert_false(meter_process_parse(STR_NONE, &letter, field, 42));
}

static void test_meter_info_of_this_machine(void **state)
{
    AUTO(meter_free) struct meter *m = meter_new();
    const Usec now = clock_wall();
    struct doc d;
    yyjson_val *v;

    (void)state;
    doc_begin(&d);
    meter_put_info(m, &d.w, now);
    v = doc_end(&d);
    assert_true(json_i64(v, "booted", 0) > 0 && json_i64(v, "booted", 0) <= now / USEC_SEC);
    assert_true(str_eq_z(json_str(v, "platform"), "linux"));
    assert_true(json_str(v, "arch").n > 0);
    assert_true(json_str(v, "release").n > 0);
    assert_true(str_eq_z(json_str(json_get(v, "os"), "platform"), "Linux"));
    assert_true(json_str(json_get(v, "os"), "hostname").n > 0);
    assert_true(json_i64(json_get(v, "memory"), "total", 0) > 1000000);
    assert_true(json_i64(json_get(v, "cpu"), "cores", 0) >= 1);
    assert_non_null(json_get(v, "virt"));
    doc_done(&d);
}

static void test_meter_quick_of_this_machine(void **state)
{
    AUTO(meter_free) struct meter *m = meter_new();
    struct doc d;
    yyjson_val *v;

    (void)state;
    for (int i = 0; i < 2; i++) {
        doc_begin(&d);
        meter_put_quick(m, &d.w);
        v = doc_end(&d);
        assert_int_equal(yyjson_obj_size(v), 4);
        assert_true(json_i64(json_get(v, "mem"), "total", 0) > 1000000);
        assert_true(yyjson_arr_size(json_at(v, "cpu.cpus")) >= 1);
        assert_true(yyjson_is_num(json_at(v, "cpu.totals.user")));
        assert_true(yyjson_is_num(json_at(v, "cpu.currentLoad")));
        if (i == 0)
            assert_true(json_double(json_at(v, "cpu.totals"), "idle", 0) == 100);
        assert_true(yyjson_is_int(json_at(v, "fs.rx")) && yyjson_is_int(json_at(v, "fs.wx")));
        assert_true(yyjson_is_int(json_at(v, "net.rx")) && yyjson_is_int(json_at(v, "net.tx")));
        doc_done(&d);
    }
}

static struct meter_job find_job(void *ctx, pid_t pid)
{
    if (pid != *(const pid_t *)ctx)
        return (struct meter_job){ 0 };
    return (struct meter_job){ .id = STR("j77"), .disk = 5, .net = 6, .conns = 7 };
}

static void test_meter_sample_of_this_machine(void **state)
{
    AUTO(meter_free) struct meter *m = meter_new();
    pid_t self = getpid();
    const struct meter_jobs jobs = { .find = find_job, .ctx = &self };
    struct doc d;
    yyjson_val *v;
    yyjson_val *p;
    size_t i;
    size_t max;
    bool found = false;

    (void)state;
    doc_begin(&d);
    meter_put_sample(m, &d.w, &jobs, clock_wall(), 1000000);
    v = doc_end(&d);
    assert_true(yyjson_is_null(json_at(v, "stats.fs.rx_sec")));
    doc_done(&d);

    doc_begin(&d);
    meter_put_sample(m, &d.w, &jobs, clock_wall(), 3000000);
    v = doc_end(&d);
    assert_true(yyjson_is_num(json_at(v, "stats.fs.rx_sec")));
    assert_int_equal(json_i64(json_at(v, "stats.fs"), "ms", 0), 2000);
    assert_true(yyjson_is_num(json_at(v, "stats.network.states.established")));
    assert_int_equal(yyjson_arr_size(json_get(v, "load")), 3);
    assert_true(json_double(v, "uptime_sec", 0) > 0);
    assert_int_equal(json_i64(json_get(v, "process"), "pid", 0), getpid());
    assert_true(json_i64(json_get(v, "process"), "mem", 0) > 100000);
    assert_non_null(json_at(v, "interfaces.lo"));
    assert_true(json_bool(json_at(v, "interfaces.lo"), "internal", false));
    assert_true(json_i64(json_get(v, "processes"), "all", 0) >= 1);
    yyjson_arr_foreach (json_at(v, "processes.list"), i, max, p) {
        if (json_i64(p, "pid", 0) != getpid())
            continue;
        found = true;
        assert_int_equal(json_i64(p, "parentPid", 0), getppid());
        assert_true(str_eq_z(json_str(p, "state"), "Running"));
        assert_true(str_eq_z(json_str(p, "job"), "j77"));
        assert_int_equal(json_i64(p, "disk", 0), 5);
        assert_true(json_i64(p, "memRss", 0) > 100000);
        assert_true(json_str(p, "user").n > 0);
        assert_true(json_str(p, "command").n > 0);
    }
    assert_true(found || LIMIT(0, 1)); /* the tiny build lists only the first few */
    doc_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meter_memory),
        cmocka_unit_test(test_meter_cpu_percent),
        cmocka_unit_test(test_meter_disks),
        cmocka_unit_test(test_meter_mounts),
        cmocka_unit_test(test_meter_net),
        cmocka_unit_test(test_meter_os),
        cmocka_unit_test(test_meter_fqdn),
        cmocka_unit_test(test_meter_hardware),
        cmocka_unit_test(test_meter_process_line),
        cmocka_unit_test(test_meter_info_of_this_machine),
        cmocka_unit_test(test_meter_quick_of_this_machine),
        cmocka_unit_test(test_meter_sample_of_this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
