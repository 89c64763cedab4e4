/* Tests of base/heap.h, against a naive minimum. */
#include "base/heap.h"

#include "base/attr.h"
#include "base/rng.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_heap_order(void **state)
{
    struct heap h = { 0 };
    struct heap_node a = { 0 }, b = { 0 }, c = { 0 };

    (void)state;
    assert_null(heap_peek(&h));
    assert_int_equal(heap_put(&h, &b, 20), STATUS_OK);
    assert_int_equal(heap_put(&h, &a, 10), STATUS_OK);
    assert_int_equal(heap_put(&h, &c, 30), STATUS_OK);
    assert_ptr_equal(heap_peek(&h), &a);
    assert_int_equal(heap_put(&h, &a, 40), STATUS_OK); /* moved, not added */
    assert_int_equal(h.n, 3);
    assert_ptr_equal(heap_peek(&h), &b);
    heap_remove(&h, &b);
    assert_false(heap_has(&b));
    heap_remove(&h, &b); /* fine when not in */
    assert_ptr_equal(heap_peek(&h), &c);
    heap_done(&h);
    assert_false(heap_has(&c));
}

static void test_heap_agrees_with_a_scan(void **state)
{
    struct heap h = { 0 };
    struct heap_node nodes[300] = { { 0 } };
    struct rng rng;

    (void)state;
    rng_init(&rng, 4711);
    for (int step = 0; step < 20000; step++) {
        struct heap_node *node = &nodes[rng_below(&rng, COUNT_OF(nodes))];
        const struct heap_node *least = NULL;

        if (rng_below(&rng, 3) == 0)
            heap_remove(&h, node);
        else
            assert_int_equal(heap_put(&h, node, (Usec)rng_below(&rng, 1000)), STATUS_OK);
        if (step % 50)
            continue;
        for (size_t i = 0; i < COUNT_OF(nodes); i++) {
            if (heap_has(&nodes[i]) && (!least || nodes[i].due < least->due))
                least = &nodes[i];
        }
        assert_true((least == NULL) == (heap_peek(&h) == NULL));
        if (least)
            assert_true(heap_peek(&h)->due == least->due);
    }
    for (Usec last = -1; heap_peek(&h);) {
        struct heap_node *node = heap_peek(&h);

        assert_true(node->due >= last);
        last = node->due;
        heap_remove(&h, node);
    }
    heap_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_order),
        cmocka_unit_test(test_heap_agrees_with_a_scan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
