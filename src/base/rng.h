/* Seeded random numbers (xoshiro256**) for choices that must replay from a seed: server choice,
 * jitter, the simulator. Never for secrets (crypto/random.h). */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 <= x < n; n > 0 */
double rng_unit(struct rng *r);                /* 0 <= x < 1 */

#endif
