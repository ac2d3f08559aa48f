/* Fannkuch: all permutations of 9 numbers, each flipped until the first is 1; small arrays, many branches. */
#define WORK 5
#include "kernel.h"

#define COUNT 9
/* Of different types, so that copying one to the other is no call of memcpy. */
static uint8_t permutation[COUNT];
static uint32_t work_copy[COUNT], rotations[COUNT + 1];

void prepare(void) {}

static uint32_t flips_of_copy(void) {
    uint32_t flips = 0;
    for (uint32_t first; (first = work_copy[0]) != 0; flips++) {
        for (uint32_t low = 0, high = first; low < high; low++, high--) {
            uint32_t other = work_copy[low];
            work_copy[low] = work_copy[high];
            work_copy[high] = other;
        }
    }
    return flips;
}

static void rotate(uint32_t length) {
    /* By exchanges: moving them along would be a call of memmove. */
    for (uint32_t i = 0; i + 1 < length; i++) {
        uint8_t other = permutation[i];
        permutation[i] = permutation[i + 1];
        permutation[i + 1] = other;
    }
}

static uint64_t all_permutations(void) {
    uint32_t most = 0, length = COUNT + 1, even = 1;
    int64_t sum = 0;
    for (uint32_t i = 0; i < COUNT; i++) permutation[i] = (uint8_t)i;
    for (;;) {
        for (length--; length > 1; length--) rotations[length] = length;
        for (uint32_t i = 0; i < COUNT; i++) work_copy[i] = permutation[i];
        uint32_t flips = flips_of_copy();
        most = flips > most ? flips : most;
        sum += even ? flips : -(int64_t)flips;
        even = !even;
        for (length = 2;; length++) {
            if (length > COUNT) return (uint64_t)sum * 1000 + most;
            rotate(length);
            if (--rotations[length] > 0) break;
        }
    }
}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) checksum = mix(checksum, all_permutations() + round);
    return checksum;
}
