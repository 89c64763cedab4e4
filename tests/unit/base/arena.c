/* Tests of base/arena.h. */
#include "base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_arena_gives_aligned_memory(void **state)
{
    struct arena *a = arena_new(1 << 20);
    char *p[200];

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        p[i] = arena_alloc(a, i);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i, i);
    }
    for (size_t i = 1; i < 200; i++)
        assert_int_equal((unsigned char)p[i][i - 1], i);
    arena_free(a);
}

static void test_arena_stops_at_its_maximum(void **state)
{
    struct arena *a = arena_new(4096);

    (void)state;
    assert_null(arena_alloc(a, 4097));
    assert_non_null(arena_alloc(a, 4096));
    assert_null(arena_alloc(a, 1));
    arena_reset(a);
    assert_non_null(arena_alloc(a, 4096));
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_null(arena_alloc(a, SIZE_MAX - 8));
    arena_free(a);
}

static void test_arena_smaller_than_a_block(void **state)
{
    struct arena *a = arena_new(100);

    (void)state;
    assert_non_null(arena_alloc(a, 90));
    assert_null(arena_alloc(a, 32));
    arena_free(a);
}

static void test_arena_big_piece_keeps_the_block_in_use(void **state)
{
    struct arena *a = arena_new(1 << 24);
    char *small = arena_dup_z(a, STR("small"));
    char *big = arena_zalloc(a, 3 << 20);
    char *after = arena_dup_z(a, STR("after"));

    (void)state;
    assert_string_equal(small, "small");
    assert_string_equal(after, "after");
    assert_int_equal(big[(3 << 20) - 1], 0);
    assert_true(after > small && after < small + 1024); /* still the first block */
    arena_reset(a);
    assert_int_equal(arena_used(a), 0);
    assert_ptr_equal(arena_alloc(a, 8), small); /* which is the one that stays */
    arena_free(a);
}

static void test_arena_text(void **state)
{
    struct arena *a = arena_new(1 << 16);
    const struct str d = arena_dup(a, STR("a\0b"));
    const struct str s = arena_printf(a, "%s-%03d", "x", 7);

    (void)state;
    assert_int_equal(d.n, 3);
    assert_memory_equal(d.p, "a\0b\0", 4);
    assert_int_equal(s.n, 5);
    assert_string_equal(s.p, "x-007");
    assert_string_equal(arena_dup_z(a, STR_NONE), "");
    assert_null(arena_dup(a, str_n("x", SIZE_MAX - 1)).p);
    arena_free(a);
}

static void test_arena_text_when_full(void **state)
{
    struct arena *a = arena_new(32);

    (void)state;
    assert_null(arena_dup(a, STR("a text of more than thirty-two bytes")).p);
    assert_null(arena_printf(a, "%100d", 1).p);
    arena_free(a);
}

struct trace {
    char order[8];
    size_t n;
};

static struct trace trace;

static void note_a(void *arg)
{
    (void)arg;
    trace.order[trace.n++] = 'a';
}

static void note_arg(void *arg)
{
    trace.order[trace.n++] = *(char *)arg;
}

static void test_arena_deferred_run_backwards(void **state)
{
    struct arena *a = arena_new(1 << 16);

    (void)state;
    trace = (struct trace){ 0 };
    assert_true(arena_defer(a, note_a, NULL));
    assert_true(arena_defer(a, note_arg, arena_dup_z(a, STR("b"))));
    arena_reset(a);
    assert_string_equal(trace.order, "ba");
    arena_reset(a);
    assert_string_equal(trace.order, "ba"); /* once only */
    assert_true(arena_defer(a, note_a, NULL));
    arena_free(a);
    assert_string_equal(trace.order, "baa");
    arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_gives_aligned_memory),
        cmocka_unit_test(test_arena_stops_at_its_maximum),
        cmocka_unit_test(test_arena_smaller_than_a_block),
        cmocka_unit_test(test_arena_big_piece_keeps_the_block_in_use),
        cmocka_unit_test(test_arena_text),
        cmocka_unit_test(test_arena_text_when_full),
        cmocka_unit_test(test_arena_deferred_run_backwards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
