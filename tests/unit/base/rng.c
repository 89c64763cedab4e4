/* Tests of base/rng.h and base/id.h. The expected numbers were computed from the papers' formulas.
 */
#include "base/rng.h"

#include "base/id.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_rng_known_numbers(void **state)
{
    struct rng r;

    (void)state;
    rng_init(&r, 0);
    assert_true(r.s[0] == UINT64_C(0xE220A8397B1DCDAF)); /* splitmix64 from 0 */
    assert_true(r.s[3] == UINT64_C(0xF88BB8A8724C81EC));
    assert_true(rng_next(&r) == UINT64_C(0x99EC5F36CB75F2B4));
    assert_true(rng_next(&r) == UINT64_C(0xBF6E1F784956452A));
}

static void test_rng_below_and_unit(void **state)
{
    size_t hits[7] = { 0 };
    struct rng r;

    (void)state;
    rng_init(&r, 12);
    for (int i = 0; i < 70000; i++) {
        const double u = rng_unit(&r);

        hits[rng_below(&r, 7)]++;
        assert_true(u >= 0 && u < 1);
    }
    for (size_t i = 0; i < 7; i++)
        assert_in_range(hits[i], 9500, 10500);
    assert_int_equal(rng_below(&r, 1), 0);
}

static void test_id_form(void **state)
{
    struct id_source s;
    Id last = { .z = "" };

    (void)state;
    id_source_init(&s, 5);
    s.counter = 1295;
    /* 1700000000000 ms is loyw3v28 in base 36, the counter zz */
    last = id_new(&s, "j", INT64_C(1700000000000) * USEC_MSEC);
    assert_int_equal(strlen(last.z), 16);
    assert_memory_equal(last.z, "jloyw3v28zz", 11);
    assert_true(str_is_id(id_str(&last)));
    last = id_new(&s, "sn", INT64_C(1700000000000) * USEC_MSEC);
    assert_int_equal(strlen(last.z), 16);
    assert_memory_equal(last.z, "snloyw3v2800", 12);
}

static void test_id_sorts_by_time(void **state)
{
    struct id_source s;
    Id last = { .z = "" };

    (void)state;
    id_source_init(&s, 5);
    s.counter = 0;
    for (int i = 0; i < 1000; i++) {
        const Id id = id_new(&s, "j", INT64_C(1700000000000000) + i / 10 * USEC_MSEC);

        assert_true(strcmp(last.z, id.z) < 0);
        last = id;
    }
}

static void test_id_replays_from_its_seed(void **state)
{
    struct id_source a, b;
    Id x, y;

    (void)state;
    id_source_init(&a, 9);
    id_source_init(&b, 9);
    x = id_new(&a, "e", 1000);
    y = id_new(&b, "e", 1000);
    assert_true(id_eq(&x, &y));
    y = id_new(&b, "e", 1000);
    assert_false(id_eq(&x, &y));
}

static void test_id_from_str(void **state)
{
    static const char longest[] =
        "0123456789012345678901234567890123456789012345678901234567890123x";
    Id id = { .z = "kept" };

    (void)state;
    assert_false(id_from_str(str_n(longest, 65), &id));
    assert_string_equal(id.z, "kept");
    assert_true(id_from_str(str_n(longest, 64), &id));
    assert_int_equal(strlen(id.z), 64);
    assert_true(id_from_str(STR("ab"), &id));
    assert_string_equal(id.z, "ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rng_known_numbers),
        cmocka_unit_test(test_rng_below_and_unit),
        cmocka_unit_test(test_id_form),
        cmocka_unit_test(test_id_sorts_by_time),
        cmocka_unit_test(test_id_replays_from_its_seed),
        cmocka_unit_test(test_id_from_str),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
