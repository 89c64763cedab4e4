/* Tests of base/map.h, against a plain array. */
#include "base/map.h"

#include "base/rng.h"

#include <stdio.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_map_put_get_del(void **state)
{
    struct map m;
    int one = 1, two = 2;
    void *old = &one;

    (void)state;
    map_init(&m, 42);
    assert_null(map_get(&m, STR("a")));
    assert_null(map_del(&m, STR("a")));
    assert_int_equal(map_put(&m, STR("a"), &one, &old), STATUS_OK);
    assert_null(old);
    assert_int_equal(map_put(&m, STR("a"), &two, &old), STATUS_OK);
    assert_ptr_equal(old, &one);
    assert_int_equal(m.n, 1);
    assert_int_equal(map_put(&m, STR(""), &one, NULL), STATUS_OK); /* the empty key is a key */
    assert_ptr_equal(map_get(&m, STR_NONE), &one);
    assert_int_equal(map_put(&m, STR("a\0b"), &one, NULL), STATUS_OK);
    assert_ptr_equal(map_get(&m, STR("a")), &two);
    assert_ptr_equal(map_del(&m, STR("a")), &two);
    assert_null(map_get(&m, STR("a")));
    assert_int_equal(m.n, 2);
    map_done(&m);
    assert_null(map_get(&m, STR("")));
    map_done(&m);
}

static void test_map_replacing_takes_the_new_key(void **state)
{
    struct map m;
    char first[] = "key", second[] = "key";
    int value = 1;

    (void)state;
    map_init(&m, 1);
    assert_int_equal(map_put(&m, str_z(first), &value, NULL), STATUS_OK);
    assert_int_equal(map_put(&m, str_z(second), &value, NULL), STATUS_OK);
    first[0] = 'x'; /* dies with the earlier value */
    assert_ptr_equal(map_get(&m, STR("key")), &value);
    map_done(&m);
}

#define KEYS 500

static void test_map_agrees_with_an_array(void **state)
{
    static char keys[KEYS][8];
    int values[KEYS] = { 0 };
    bool present[KEYS] = { false };
    struct rng rng;
    struct map m;
    size_t n = 0;

    (void)state;
    rng_init(&rng, 99);
    map_init(&m, 7);
    for (size_t i = 0; i < KEYS; i++)
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", i);
    for (int step = 0; step < 50000; step++) {
        const size_t i = rng_below(&rng, KEYS);

        if (rng_below(&rng, 2)) {
            assert_int_equal(map_put(&m, str_z(keys[i]), &values[i], NULL), STATUS_OK);
            n += !present[i];
            present[i] = true;
        } else {
            assert_ptr_equal(map_del(&m, str_z(keys[i])), present[i] ? &values[i] : NULL);
            n -= present[i];
            present[i] = false;
        }
        assert_int_equal(m.n, n);
    }
    for (size_t i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(&m, str_z(keys[i])), present[i] ? &values[i] : NULL);
    assert_true(m.cap <= 2048); /* removed ones are swept out, not grown around */
    map_done(&m);
}

static void test_map_walk_may_delete(void **state)
{
    static char keys[100][8];
    struct map m;
    struct str key;
    void *value;
    size_t cursor = 0, seen = 0;

    (void)state;
    map_init(&m, 7);
    assert_false(map_next(&m, &cursor, &key, &value));
    for (size_t i = 0; i < 100; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", i);
        assert_int_equal(map_put(&m, str_z(keys[i]), keys[i], NULL), STATUS_OK);
    }
    cursor = 0;
    while (map_next(&m, &cursor, &key, &value)) {
        seen++;
        assert_true(str_eq_z(key, value));
        assert_ptr_equal(map_del(&m, key), value);
    }
    assert_int_equal(seen, 100);
    assert_int_equal(m.n, 0);
    map_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_put_get_del),
        cmocka_unit_test(test_map_replacing_takes_the_new_key),
        cmocka_unit_test(test_map_agrees_with_an_array),
        cmocka_unit_test(test_map_walk_may_delete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
